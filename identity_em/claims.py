"""One maker at a time in a bucket: who wants a thing puts a claim beside all others' and then looks who else did.

A claim is one object, `NAME/TOKEN`, that only its maker writes. A maker owns the thing once it has put its claim and
then seen no other living one. Of two that put theirs at about the same time the later sees the earlier's, since what
was put is listed at once: so at most one owns, and where both see the other the smaller token looks again and the other
steps back. A claim is stale when its process is gone (same host) or its heartbeat stopped, by the server's own clock or
by this process's; the next owner removes it. No object is ever changed under a condition, so any object store will do.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from identity_em import locks
from identity_em.errors import StoreFailed

if TYPE_CHECKING:
    from identity_em.buckets import Bucket

# How often, and how long apart, the smaller token looks whether the other has stepped back.
_LOOKS, _PAUSE = 5, 0.2


class Claim:
    """A lock in a bucket, used as `locks.Lock` is.

    Args:
        bucket: Where.
        name: Of what is claimed.
        clock: Seconds that never jump.
    """

    def __init__(self, bucket: Bucket, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket, self._name, self._clock = bucket, name, clock
        self.token = uuid.uuid4().hex
        self._stop, self._writing = threading.Event(), threading.Lock()

    def acquire(self) -> bool:
        """Try once; True where this process now owns the thing."""
        if self._living(time.time()):
            return False
        self._put()
        for _ in range(_LOOKS):
            now = self._bucket.modified(self._at(self.token)) or time.time()
            there = set(self._bucket.names(self._name))
            living = self._living(now, there)
            if self.token not in there:  # somebody took this process for gone; without a claim nobody owns
                return False
            if not living:
                # Only those just seen to be gone: whoever has come since is alive, and sees this claim.
                for token in there - {self.token}:
                    self._bucket.remove(self._at(token))
                threading.Thread(target=self._beat, daemon=True).start()
                return True
            if min(living) < self.token:
                break
            time.sleep(_PAUSE)
        self._bucket.remove(self._at(self.token))
        return False

    def held(self) -> bool:
        """Whether somebody living claims it."""
        return bool(self._living(time.time()))

    def owner(self) -> dict[str, Any]:
        """Host, pid, start and since when, of whoever claims it; empty where nobody does."""
        living = self._living(time.time())
        found = next(iter(living.values()), {})
        return {name: value for name, value in found.items() if name != "token"}

    def clear(self) -> bool:
        """Remove the claims of makers that are gone; whether none is left."""
        there = set(self._bucket.names(self._name))
        living = self._living(time.time(), there)
        for token in there - set(living):
            self._bucket.remove(self._at(token))
        return not living

    def release(self) -> None:
        """Give it back."""
        with self._writing:  # or a beat under way would put the claim anew
            self._stop.set()
            self._bucket.remove(self._at(self.token))

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _living(self, now: float, there: set[str] | None = None) -> dict[str, dict[str, Any]]:
        """The claims of others whose makers live, by token.

        Args:
            there: The claims that were listed; listed now where they are not given.
        """
        others = (set(self._bucket.names(self._name)) if there is None else there) - {self.token}
        found = {token: self._owner(token, now) for token in sorted(others)}
        return {token: owner for token, owner in found.items() if owner is not None}

    def _owner(self, token: str, now: float) -> dict[str, Any] | None:
        """Who put a claim; None where they are gone."""
        text, beat = self._bucket.read(self._at(token)), self._bucket.modified(self._at(token))
        if text is None or beat is None:
            return None
        owner = locks.owned(text)
        dead = locks.dead(owner)
        if dead is not None:
            return None if dead else owner
        quiet = locks.silent((self._bucket.url, self._at(token)), beat, self._clock())
        return None if max(quiet, now - beat) > locks.STALE_SECONDS else owner

    def _put(self) -> None:
        self._bucket.write(self._at(self.token), json.dumps(locks.me(self.token)))

    def _at(self, token: str) -> str:
        return f"{self._name}/{token}"

    def _beat(self) -> None:
        """Show that this process lives, until it gives the thing back or another has taken it over."""
        while not self._stop.wait(locks.HEARTBEAT_SECONDS):
            with self._writing, suppress(StoreFailed):  # it may be reached again before anybody takes over
                if self._stop.is_set() or not self._bucket.exists(self._at(self.token)):
                    return
                self._put()
