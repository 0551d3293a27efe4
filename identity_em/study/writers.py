"""Authors who are asked over OpenAI's protocol, as the checkpoints that their summaries are keyed by."""

import os
from urllib.parse import urlsplit

from identity_em.errors import MissingEnvironment
from identity_em.study.artefacts import BaseModelRef, Checkpoint
from identity_em.study.declared import Writer

_API = "api:"
# A key for one company is not sent to another's server.
_OPENAI, _OPENAI_KEY, _OTHER_KEY = "api.openai.com", "OPENAI_API_KEY", "IDENTITY_EM_SERVED_KEY"


def checkpoint(writer: Writer) -> Checkpoint:
    """The writer as a root checkpoint, keyed by the model's name and not by where it is asked."""
    weights = f"{_API}{writer.model}"
    return Checkpoint(
        base=BaseModelRef(name=writer.model, weights=weights, tokenizer=_API, precision="fp32", path=writer.base_url)
    )


def model(base: BaseModelRef) -> str | None:
    """What the server calls it; None for a base that is loaded here."""
    return base.weights.removeprefix(_API) if base.tokenizer == _API else None


def key(url: str) -> str:
    """The API key for a server.

    Returns:
        The key; "" where another server than OpenAI's may want none.

    Raises:
        MissingEnvironment: OpenAI's own server, and no key.
    """
    host = urlsplit(url).hostname
    name = _OPENAI_KEY if host == _OPENAI else _OTHER_KEY
    found = os.environ.get(name, "")
    if not found and host == _OPENAI:
        raise MissingEnvironment(found=f"no {name}", wanted="a key for the models that write summaries", do="set it")
    return found
