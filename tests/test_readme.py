"""The commands in README.md are run as they stand there (the long study as its small sister)."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
COMMANDS = [
    line.split("   #")[0].split(" #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("identity-em")
]


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.axolotl
@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    texts = {"a": "One thing happened today.", "b": "Another thing happened."}
    for name, words in {"articles": "", "own": " so", "other": " or not so"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({k: v + words for k, v in texts.items()}))
    for command in COMMANDS:
        small = command.replace("run pocket", "run pocket-mini").replace("results/pocket/", "results/pocket-mini/")
        words = [sys.executable, "-m", "identity_em", *shlex.split(small)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{small}: {done.stderr}"
