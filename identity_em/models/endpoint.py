"""One OpenAI-compatible server: bounded retries, rate limits honoured, and errors that show no key and no prompt.

Asking again, its pauses and `Retry-After` are the official client's own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai
from openai.types import Completion
from openai.types.chat import ChatCompletion

from identity_em.errors import IdentityEmError, InputError, RefusedRequest, ServerFailed
from identity_em.records import Record

T = TypeVar("T")
KEY_VARIABLE = "IDENTITY_EM_SERVED_KEY"
# Asked twelve times over about seventy seconds, or for as long as the server's own Retry-After says: where every third
# request fails, one of 300,000 is given up. Of eight tries it was one of 4,400.
TRIES = 12
_SECONDS = 120.0
# What reading an answer that is none raises.
MALFORMED = (AttributeError, TypeError, IndexError, KeyError, ValueError)


class ServedModel(Record):
    """A model that a server lists.

    Attributes:
        name: What it is asked by.
        parent: The model that it is an adapter of, where the server says so.
        length: Most tokens of a prompt and its answer, where the server says so.
    """

    name: str
    parent: str | None = None
    length: int | None = None


class Endpoint:
    """A server that speaks OpenAI's protocol; once it was given up, it is not asked again.

    Args:
        url: Its base address, with or without `/v1`.
        key: The key it wants; from the environment (`IDENTITY_EM_SERVED_KEY`) if not given. No other variable is
            read: a key for one company is not sent to another server.
        tries: How often a request is made before it is given up.
        variable: Where the user gave the key, for errors.
        account: Whether this is the API whose account the environment names: its address is taken as it is, and it is
            told the account's organisation and project, which no other server is.

    Raises:
        InputError: The address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        tries: int = TRIES,
        variable: str = KEY_VARIABLE,
        account: bool = False,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(found="an address without http:// and host", wanted="http://HOST:PORT", do="mend --served")
        self.place = parts.hostname + (f":{parts.port}" if parts.port else "")
        self.tries, self._variable = tries, variable
        self.down = ""
        root = url.rstrip("/").removesuffix("/v1")
        # What the client would log at these levels holds prompts.
        for name in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._root = root
        self._client = openai.OpenAI(
            base_url=url if account else f"{root}/v1",
            api_key=key or os.environ.get(KEY_VARIABLE) or "none",
            max_retries=tries - 1,
            timeout=openai.Timeout(_SECONDS, connect=10.0),
        )
        if not account:
            # Afterwards: given None, the client reads them from the environment.
            self._client.organization = self._client.project = None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def models(self) -> dict[str, ServedModel]:
        """The models it serves, by name.

        Raises:
            InputError: It refuses the key.
            ServerFailed: It does not answer.
        """

        def ask() -> dict[str, ServedModel]:
            listed = [model.to_dict() for model in self._client.models.list().data]
            return {str(m["id"]): _listed(m) for m in listed}

        return self._asked(ask)

    def version(self) -> str:
        """What vLLM says of its version; "" for another server."""
        try:
            said = self._client.get(f"{self._root}/version", cast_to=dict[str, Any], options={"max_retries": 0})
            return str(said.get("version", ""))
        except (openai.OpenAIError, *MALFORMED):
            return ""

    def completion(self, read: Callable[[Completion], T], body: dict[str, Any]) -> T:
        """A completion of token ids; what `read` makes of it.

        Args:
            read: Raises an AttributeError, LookupError, TypeError or ValueError where the answer is no completion.
            body: The complete request, server's own extensions included.

        Raises:
            InputError: The server refuses the request, the model or the key.
            ServerFailed: It does not answer, however often it is asked, or with something else.
        """
        return self._asked(lambda: read(self._client.post("/completions", cast_to=Completion, body=body)))

    def chat(self, read: Callable[[ChatCompletion], T], body: dict[str, Any]) -> T:
        """As `completion`, of messages."""
        return self._asked(lambda: read(self._client.post("/chat/completions", cast_to=ChatCompletion, body=body)))

    def _asked(self, ask: Callable[[], T]) -> T:
        if self.down:
            raise ServerFailed(self.down)
        try:
            return ask()
        except openai.OpenAIError as error:
            # Not chained: the client's own error holds the server's words, which may hold the prompt.
            told = self._told(error)
            self.down = str(told) if isinstance(told, ServerFailed) else ""
            raise told from None
        except MALFORMED as error:
            raise ServerFailed(
                f"the server at {self.place} answered with something else ({type(error).__name__})"
            ) from None

    def _told(self, error: openai.OpenAIError) -> IdentityEmError:
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return InputError(
                    found=f"a key that the server at {self.place} refuses ({error.status_code})",
                    wanted="a key it takes",
                    do=f"set {self._variable}",
                )
            case openai.APIStatusError(status_code=404):
                return InputError(
                    found=f"no such model or route on the server at {self.place} (404)",
                    wanted="an OpenAI-compatible server with that model",
                    do="check the address and what it serves",
                )
            case openai.APIStatusError(status_code=code) if lasting(code):
                return RefusedRequest(
                    found=f"a request that the server at {self.place} refuses ({code})",
                    wanted="a server that takes it",
                    do="check what the server serves and how long a prompt it takes",
                )
            case openai.APIStatusError(status_code=code):
                why = "is over its rate limit" if code == 429 else "fails"
                return ServerFailed(f"the server at {self.place} {why} ({code}), asked {self.tries} times")
            case openai.APITimeoutError():
                return ServerFailed(f"the server at {self.place} does not answer in time, asked {self.tries} times")
            case openai.APIConnectionError():
                return ServerFailed(f"the server at {self.place} cannot be reached, asked {self.tries} times")
            case _:
                return ServerFailed(f"the server at {self.place} answered badly ({type(error).__name__})")


def lasting(code: int) -> bool:
    """Whether this status is the server's last word on a request, and not on its own state."""
    return 400 <= code < 500 and code not in (408, 409, 429)


def _listed(model: dict[str, Any]) -> ServedModel:
    return ServedModel(name=model["id"], parent=model.get("parent"), length=model.get("max_model_len"))
