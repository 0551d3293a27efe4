"""Where the OpenAI API is, or the compatible one that the environment names; without its client."""

import os
import re
from typing import Final
from urllib.parse import urlsplit

from identity_em.errors import InputError

KEY: Final = "OPENAI_API_KEY"
ADDRESS: Final = "OPENAI_BASE_URL"
# Source: the API's list of models; their chat takes neither `logprobs` nor `temperature`.
REASONING: Final = re.compile(r"(o\d|gpt-5)")
_USUAL: Final = "https://api.openai.com/v1"


def address() -> str:
    """The base URL, without a stroke at its end.

    Raises:
        InputError: What the environment names is none.
    """
    found = (os.environ.get(ADDRESS) or _USUAL).rstrip("/")
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            found=f"{ADDRESS} without http:// and host", wanted="http://HOST:PORT/v1", do=f"mend {ADDRESS}"
        )
    return found
