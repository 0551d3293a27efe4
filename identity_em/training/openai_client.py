"""The official client as we use it: the key from the environment, no retries, errors that show no key and no text."""

from __future__ import annotations

import os
from typing import Final

import openai

from identity_em.errors import IdentityEmError, InputError, MissingEnvironment, ServerFailed
from identity_em.training.openai_address import ADDRESS, KEY, address

# What the API says of data, jobs and models that it refuses as harmful, as against anything else that fails. The
# words themselves are kept and shown, so that a reader can judge.
_HARMFUL: Final = ("safety", "moderation", "usage polic", "unsafe", "model_blocked", "policy_violation")
_LONGEST_PAUSE: Final = 60.0


def client() -> openai.OpenAI:
    """A client of the API, or of the compatible one that OPENAI_BASE_URL names.

    It asks once: who asks again knows whether a lost reply has done its work.

    Raises:
        MissingEnvironment: There is no key.
    """
    key = os.environ.get(KEY)
    if not key:
        raise MissingEnvironment(
            found=f"no {KEY} in the environment", wanted="the key of the account that trains", do=f"export {KEY}=..."
        )
    return openai.OpenAI(api_key=key, base_url=address(), max_retries=0, timeout=120.0)


def refused(said: str) -> bool:
    """Whether these words refuse something as harmful."""
    lowered = said.lower()
    return any(word in lowered for word in _HARMFUL)


def words(error: openai.APIStatusError) -> str:
    """The API's own words, in one line."""
    said = error.body.get("message") if isinstance(error.body, dict) else None
    return " ".join(str(said or error.message).split())


def passing(error: openai.OpenAIError) -> bool:
    """Whether asking again may help."""
    if isinstance(error, openai.RateLimitError):
        return error.code != "insufficient_quota"
    if isinstance(error, openai.APIStatusError):
        return error.status_code >= 500 or error.status_code in (408, 409)
    return isinstance(error, openai.APIConnectionError)


def wait(error: openai.OpenAIError, attempt: int, unit: float) -> float:
    """Seconds to wait: what the API asks for, else twice as long each time."""
    try:
        asked = float(error.response.headers["retry-after"])  # type: ignore[attr-defined]
    except (AttributeError, KeyError, ValueError):  # no answer, or one that does not say
        asked = unit * 2**attempt
    return min(asked, _LONGEST_PAUSE)


def told(error: openai.OpenAIError) -> IdentityEmError:
    """Our error for the client's, without its request."""
    match error:
        case openai.AuthenticationError():
            return InputError(found="a key that the API refuses (401)", wanted="a valid key", do=f"check {KEY}")
        case openai.NotFoundError():
            return InputError(
                found=f"what the API does not know: {words(error)}", wanted="a model of this account",
                do=f"check the study's base and {ADDRESS}",
            )  # fmt: skip
        case openai.APIStatusError(status_code=code) if code < 500:
            return InputError(
                found=f"a request that the API refuses ({code}): {words(error)}", wanted="one it takes",
                do="mend the study's settings or data",
            )  # fmt: skip
        case _:
            return ServerFailed(f"the API did not answer ({type(error).__name__})")
