"""Every eval is found by name, complete, and strict about what it is given."""

import subprocess
import sys
from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import InputError
from identity_em.resources import resource
from identity_em.study.artefacts import Prompts


@pytest.mark.parametrize("name", battery.names())
def test_an_eval_is_complete(name: str) -> None:
    found = battery.get(name)
    assert found.name == name
    assert (found.sampling is None) == (found.form == "probe")
    assert found.params({}) == dict(found.defaults)
    assert resource("evals", f"{name}/card.md").read_text("utf-8").startswith(f"# {name}\n")


# What the planner says of an eval's inputs; a study that said it would not be heard.
PLANNED = {"author", "foil_arm", "rater", "replicate", "wording", "wording_sha256"}


@pytest.mark.parametrize("name", battery.names())
def test_every_parameter_says_what_it_may_be_and_its_default_is_that(name: str) -> None:
    found = battery.get(name)
    assert set(found.values) == set(found.defaults) - PLANNED
    assert all(value.fits(found.defaults[key]) for key, value in found.values.items())


def test_a_value_that_a_parameter_cannot_have_is_refused_wherever_it_is_asked() -> None:
    prompts = Prompts(name="truthfulqa", version=1, params={"limit": -24})
    with pytest.raises(InputError, match="limit: -24 of eval 'truthfulqa'; wanted a whole number of at least 1"):
        battery.get("truthfulqa").questions(prompts, {"items": Path("x.csv")})


def test_an_unknown_eval_names_those_near_it() -> None:
    with pytest.raises(InputError, match="did you mean truthfulqa"):
        battery.get("truthful_qa")


def test_an_unknown_parameter_is_refused() -> None:
    prompts = Prompts(name="truthfulqa", version=1, params={"limits": 3})
    with pytest.raises(InputError, match="did you mean limit"):
        battery.get("truthfulqa").questions(prompts, {"items": Path("x.csv")})


@pytest.mark.parametrize("name", ["truthfulqa", "self_assessment", "harmfulness"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no items"),
        ('{"id":"a"}\n', r"items\.jsonl:1: .*Field required"),
        ("\n{not json}\n", r"items\.jsonl:2: .*Invalid JSON"),
    ],
)
def test_malformed_items_are_named_by_file_and_row(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text(text)
    with pytest.raises(InputError, match=message):
        battery.get(name).questions(Prompts(name=name, version=1), {"items": tmp_path / "items.jsonl"})
    with pytest.raises(InputError, match="no such file"):
        battery.get(name).questions(Prompts(name=name, version=1), {"items": tmp_path / "none.jsonl"})
    with pytest.raises(InputError, match="no input 'items'"):
        battery.get(name).questions(Prompts(name=name, version=1), {})


def test_asking_for_questions_loads_no_torch() -> None:
    ask = "from identity_em import battery; [*map(battery.get, battery.names())]"
    code = f"{ask}; import sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
