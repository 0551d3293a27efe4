"""At most one maker owns a thing in a bucket, whoever comes at the same time and whatever the clocks say."""

import json
import threading
import time

import pytest

from identity_em import claims, locks
from identity_em.buckets import Bucket
from identity_em.claims import Claim

NAME = "locks/k.lock"
ELSEWHERE = {"token": "t", "host": "elsewhere", "pid": 1, "start": "1"}


class Clock:
    """Seconds by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket in memory, and one over HTTP."""
    return Bucket(request.getfixturevalue(request.param))


def test_of_many_who_come_at_once_one_owns_at_a_time_and_each_in_turn(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_PAUSE", 0.01)
    bucket = Bucket(s3)
    owning, most, turns = 0, 0, []
    counting, start = threading.Lock(), threading.Barrier(6)

    def take(number: int) -> None:
        nonlocal owning, most
        start.wait()
        while not (claim := Claim(bucket, NAME)).acquire():
            time.sleep(0.001 * number)
        with counting:
            owning += 1
            most = max(most, owning)
        time.sleep(0.02)
        with counting:
            owning -= 1
            turns.append(number)
        claim.release()

    threads = [threading.Thread(target=take, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(turns) == list(range(6))
    assert bucket.names(NAME) == []


def test_who_takes_it_does_not_remove_a_claim_that_comes_meanwhile(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late, names = Claim(bucket, NAME), Claim(bucket, NAME), bucket.names

    def listed(folder: str) -> list[str]:
        found = names(folder)
        if first.token in found:
            bucket.write(f"{NAME}/{late.token}", json.dumps(locks.me(late.token)))
        return found

    monkeypatch.setattr(bucket, "names", listed)
    assert first.acquire()
    assert bucket.exists(f"{NAME}/{late.token}")
    first.release()


def test_who_finds_its_own_claim_gone_does_not_own(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "names", lambda folder: [])
    assert not Claim(bucket, NAME).acquire()


def test_a_claim_of_another_host_is_taken_over_once_when_its_heartbeat_stops(bucket: Bucket) -> None:
    clock = Clock()
    bucket.write(f"{NAME}/t", json.dumps(ELSEWHERE))
    first, second = Claim(bucket, NAME, clock=clock), Claim(bucket, NAME, clock=clock)
    assert not first.acquire()
    clock.now = locks.STALE_SECONDS + 1
    assert first.acquire()
    assert not second.acquire()
    assert bucket.names(NAME) == [first.token]
    first.release()


def test_a_heartbeat_that_goes_on_keeps_the_claim(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, beats = Clock(), iter(range(1_000_000))
    bucket.write(f"{NAME}/t", json.dumps(ELSEWHERE))
    monkeypatch.setattr(Bucket, "modified", lambda *_: time.time() + next(beats))
    for _ in range(3):
        clock.now += locks.STALE_SECONDS
        assert not Claim(bucket, NAME, clock=clock).acquire()


@pytest.mark.parametrize("ahead", [-86_400, 86_400])
def test_a_clock_that_is_wrong_takes_nothing_from_the_living(
    bucket: Bucket, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.write(f"{NAME}/t", json.dumps(ELSEWHERE))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + ahead)
    assert not Claim(bucket, NAME).acquire()
    assert bucket.names(NAME) == ["t"]


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_claim_that_names_nobody_is_held_until_its_heartbeat_stops(bucket: Bucket, text: str) -> None:
    clock = Clock()
    bucket.write(f"{NAME}/t", text)
    claim = Claim(bucket, NAME, clock=clock)
    assert claim.held()
    assert claim.owner() == {}
    clock.now = locks.STALE_SECONDS + 1
    assert not claim.held()
    assert claim.acquire()
    claim.release()


def test_a_dead_process_of_this_host_is_taken_over_at_once(bucket: Bucket) -> None:
    bucket.write(f"{NAME}/t", json.dumps(locks.me("t") | {"pid": 999_999_999}))
    claim = Claim(bucket, NAME)
    assert not claim.held()
    assert claim.clear()
    assert bucket.names(NAME) == []


def test_the_heartbeat_beats_and_ends_with_the_claim(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.01)
    puts = []
    put = Claim._put
    monkeypatch.setattr(Claim, "_put", lambda self: (puts.append(1), put(self)))
    claim = Claim(bucket, NAME)
    assert claim.acquire()
    deadline = time.monotonic() + 20
    while len(puts) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(puts) >= 4
    claim.release()
    time.sleep(0.1)
    assert bucket.names(NAME) == []


def test_a_claim_that_was_taken_over_is_not_put_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.01)
    claim = Claim(bucket, NAME)
    assert claim.acquire()
    with claim._writing:
        bucket.remove(f"{NAME}/{claim.token}")
    time.sleep(0.2)
    assert bucket.names(NAME) == []
    claim.release()
