"""Two torchrun agents on this machine stand for two machines."""

from pathlib import Path

_ON_BOTH = """#!/bin/sh
"$@" & first=$!
"$@" & second=$!
wait $first && wait $second
"""


def on_both(folder: Path) -> str:
    """A launcher as IDENTITY_EM_LAUNCHER names one: it runs its words twice at once."""
    script = folder / "on-both"
    script.write_text(_ON_BOTH)
    script.chmod(0o755)
    return str(script)
