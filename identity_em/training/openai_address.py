"""Where the OpenAI API is, or the compatible one that the environment names; without its client."""

import os
import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from identity_em.errors import InputError

KEY: Final = "OPENAI_API_KEY"
ADDRESS: Final = "OPENAI_BASE_URL"
# Source: the API's list of models; their chat takes neither `logprobs` nor `temperature`.
REASONING: Final = re.compile(r"(o\d|gpt-5)")
_USUAL: Final = "https://api.openai.com/v1"
_PORTS: Final = {"http": 80, "https": 443}


def address() -> str:
    """The base URL as its client spells it, so that two ways to write one are one; without a stroke at its end.

    Raises:
        InputError: What the environment names is none.
    """
    try:
        parts = urlsplit(os.environ.get(ADDRESS) or _USUAL)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        host = ""
    if not host or parts.scheme not in _PORTS:
        raise InputError(
            found=f"{ADDRESS} without http:// and host", wanted="http://HOST:PORT/v1", do=f"mend {ADDRESS}"
        )
    user = "".join(parts.netloc.rpartition("@")[:2])
    where = f"[{host}]" if ":" in host else host
    ours = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return urlunsplit(parts._replace(netloc=f"{user}{where}{ours}", path=parts.path.rstrip("/")))
