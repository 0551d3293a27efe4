"""Where the OpenAI API is, or the compatible one that the environment names; without its client."""

import os
from typing import Final

KEY: Final = "OPENAI_API_KEY"
ADDRESS: Final = "OPENAI_BASE_URL"
_USUAL: Final = "https://api.openai.com/v1"


def address() -> str:
    """The base URL, without a stroke at its end."""
    return (os.environ.get(ADDRESS) or _USUAL).rstrip("/")
