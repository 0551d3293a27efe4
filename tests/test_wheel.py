"""A wheel carries everything that a checkout does."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_study_plans_the_same_from_a_wheel_as_from_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)
    command = [sys.executable, "-m", "identity_em", "plan", "pocket", "--json"]
    plans = {
        where: subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(where)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for where in (site, ROOT)
    }
    assert json.loads(plans[site]) == json.loads(plans[ROOT])
    shown = [sys.executable, "-c", "import identity_em; print(identity_em.__file__)"]
    where = subprocess.run(
        shown, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    ).stdout
    assert where.startswith(str(site))
