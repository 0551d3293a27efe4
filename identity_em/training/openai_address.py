"""Where the OpenAI API is, or the compatible one that the environment names; without its client."""

import os
import re
from typing import Final

KEY: Final = "OPENAI_API_KEY"
ADDRESS: Final = "OPENAI_BASE_URL"
# Source: the API's list of models; their chat takes neither `logprobs` nor `temperature`.
REASONING: Final = re.compile(r"(o\d|gpt-5)")
_USUAL: Final = "https://api.openai.com/v1"


def address() -> str:
    """The base URL, without a stroke at its end."""
    return (os.environ.get(ADDRESS) or _USUAL).rstrip("/")
