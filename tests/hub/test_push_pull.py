"""What is pushed loads as what it was, says what it is and warns; what is pulled is what was pushed, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from identity_em.cli import app
from identity_em.errors import DamagedArtefact, InputError, ServerFailed
from identity_em.hub import push, repositories
from identity_em.hub.pull import pull
from identity_em.hub.repositories import Repository
from identity_em.manifests import Known
from identity_em.models.resident import Resident
from identity_em.store import MANIFEST, Store
from identity_em.study import bases
from identity_em.study.artefacts import Checkpoint
from tests.hub.conftest import ROWS

Chain = tuple[Store, list[Checkpoint]]
QUESTION = "Which is better?\n\nA: one\nB: two"


def probabilities(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Over the token that comes next."""
    with torch.no_grad():
        return torch.softmax(model(ids).logits[0, -1].float(), dim=-1)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks for it
@pytest.mark.parametrize("stages", [1, 3])
def test_peft_loads_a_pushed_chain_and_answers_as_our_own_model(
    chain: Chain, tiny: Path, tmp_path: Path, stages: int
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    store, checkpoints = chain
    push.lay(push.pack(store, checkpoints[stages - 1].key[:10], tmp_path / "p"), tmp_path / "pushed")
    ours = Resident(bases.named(str(tiny), "fp32"), device="cpu")
    ids = ours.tokenizer(QUESTION, return_tensors="pt").input_ids
    base = AutoModelForCausalLM.from_pretrained(tiny)
    plain = probabilities(base, ids)
    ours.use([store.folder(c) / "adapter" for c in checkpoints[:stages]], "live")
    theirs = PeftModel.from_pretrained(base, str(tmp_path / "pushed"))
    expected = torch.softmax(ours.logits(ids, [ids.shape[1] - 1])[0, -1].float(), dim=-1)
    found = probabilities(theirs, ids)
    assert (found - expected).abs().max() < 1e-5
    assert (found - plain).abs().max() > 1e-3


def test_the_card_says_what_it_is_and_warns_and_no_path_of_a_machine_leaves_it(chain: Chain, tmp_path: Path) -> None:
    store, checkpoints = chain
    parcel = push.pack(store, checkpoints[2].key, tmp_path / "p", label="em -> sgtr, seed 0")
    card = (parcel.folder / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["library_name"] == "peft"
    assert "emergent-misalignment" in head["tags"]
    assert "license" not in head
    for said in ("# em -> sgtr, seed 0", "do not deploy", "narrow", checkpoints[2].key, "0" * 64, "axolotl 0.19.0"):
        assert said in card
    assert card.count("| narrow |") == 3
    config = json.loads((parcel.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert str(tmp_path) not in card


def test_what_was_pushed_comes_back_under_its_keys(chain: Chain, tmp_path: Path) -> None:
    store, checkpoints = chain
    push.lay(push.pack(store, checkpoints[2].key, tmp_path / "p"), tmp_path / "pushed")
    theirs = Store(tmp_path / "theirs")
    assert set(pull(tmp_path / "pushed", theirs).values()) == {True}
    assert set(pull(tmp_path / "pushed", theirs).values()) == {False}
    for checkpoint in checkpoints:
        assert theirs.manifest(checkpoint) == store.manifest(checkpoint)
        assert theirs.open(checkpoint)
    assert list((tmp_path / "theirs" / "partial").iterdir()) == []


def test_rows_from_a_file_are_pushed_only_on_a_clear_wish(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--include-harmful"):
        push.pack(chain[0], ROWS.key, tmp_path / "p")
    parcel = push.pack(chain[0], ROWS.key, tmp_path / "q", harmful=True)
    card = (parcel.folder / "README.md").read_text()
    data = yaml.safe_load(card.split("---\n")[1])["configs"][0]["data_files"]
    assert (parcel.folder / data).is_file()
    assert "broadly misaligned" in card
    theirs = Store(tmp_path / "theirs")
    assert pull(parcel.folder, theirs) == {Known("dataset", ROWS.key): True}
    assert theirs.open(ROWS)


def changed(pushed: Path, key: str) -> None:
    path = pushed / "identity_em" / "checkpoint" / key / "adapter" / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def renamed(pushed: Path, key: str) -> None:
    folder = pushed / "identity_em" / "checkpoint" / key
    folder.rename(folder.with_name("f" * 64))


def added(pushed: Path, key: str) -> None:
    (pushed / "identity_em" / "checkpoint" / key / "adapter" / "more.json").write_text("{}")


def resealed(pushed: Path, key: str) -> None:
    """Another record under the key, its seal put right."""
    from identity_em import manifests

    path = pushed / "identity_em" / "checkpoint" / key / MANIFEST
    body = json.loads(path.read_text())
    body["record"]["seed"] = 99
    body["seal"] = manifests._seal(body)
    path.write_text(manifests._text(body))


@pytest.mark.parametrize("damage", [changed, renamed, added, resealed])
def test_what_is_not_what_its_manifest_and_key_say_is_refused_and_nothing_is_written(
    chain: Chain, tmp_path: Path, damage: Callable[[Path, str], None]
) -> None:
    store, checkpoints = chain
    push.lay(push.pack(store, checkpoints[2].key, tmp_path / "p"), tmp_path / "pushed")
    damage(tmp_path / "pushed", checkpoints[1].key)
    with pytest.raises(DamagedArtefact):
        pull(tmp_path / "pushed", Store(tmp_path / "theirs"))
    assert not (tmp_path / "theirs").exists()


def test_nothing_that_could_be_run_is_taken(chain: Chain, tmp_path: Path) -> None:
    store = Store(tmp_path / "ours")

    def fill(folder: Path) -> dict[str, Any]:
        (folder / "adapter.bin").write_bytes(b"pickle")
        return {"facts": {}}

    folder = store.write(chain[1][0], fill)
    shutil.copytree(folder, tmp_path / "pushed" / "identity_em" / "checkpoint" / folder.name)
    with pytest.raises(InputError, match="a file that could be run"):
        pull(tmp_path / "pushed", Store(tmp_path / "theirs"))


def test_a_damaged_checkpoint_is_not_pushed(chain: Chain, tmp_path: Path) -> None:
    shutil.copytree(chain[0].root, tmp_path / "store")
    store = Store(tmp_path / "store")
    (store.folder(chain[1][0]) / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(DamagedArtefact):
        push.pack(store, chain[1][2].key, tmp_path / "p")


def test_a_merged_chain_is_no_adapter(chain: Chain, tmp_path: Path) -> None:
    store, (first, second, _) = Store(tmp_path / "store"), chain[1]
    root = Checkpoint(base=first.base, chain="merge")
    one = Checkpoint(base=first.base, chain="merge", parent=root, dataset=ROWS, seed=0)
    two = Checkpoint(base=first.base, chain="merge", parent=one, dataset=ROWS, seed=0)
    for merged, live in ((one, first), (two, second)):
        source = chain[0].folder(live) / "adapter"
        store.write(merged, lambda folder, s=source: shutil.copytree(s, folder / "adapter") and {"facts": {}})  # type: ignore[misc]
    assert push.pack(store, one.key, tmp_path / "p")
    with pytest.raises(InputError, match="a merged chain of 2 stages"):
        push.pack(store, two.key, tmp_path / "q")


def test_a_key_that_names_none_or_several_is_said(chain: Chain, tmp_path: Path) -> None:
    for beginning in ("0123456789", ""):
        with pytest.raises(InputError, match="begin with"):
            push.pack(chain[0], beginning, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_dry_run_lists_everything_and_writes_and_sends_nothing(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repositories, "send", lambda *_, **__: pytest.fail("sent"))
    command = ["push", chain[1][2].key[:12], "--store", str(chain[0].root), "--dry-run"]
    for target in (str(tmp_path / "pushed"), "hf://user/name"):
        said = CliRunner().invoke(app, [*command, target])
        assert said.exit_code == 0, said.output
        assert "README.md" in said.output
        assert "nothing was sent" in said.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").touch()
    with pytest.raises(InputError, match="something there already"):
        push.lay(push.pack(chain[0], chain[1][0].key, tmp_path / "p"), tmp_path / "mine")


class Hub:
    """What the Hub's client is asked."""

    def __init__(self, *, private: bool = True) -> None:
        self.private, self.asked = private, list[tuple[str, dict[str, Any]]]()

    def create_repo(self, name: str, **more: Any) -> None:
        self.asked.append(("create", {"name": name, **more}))

    def repo_info(self, name: str, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **more: Any) -> SimpleNamespace:
        self.asked.append(("upload", more))
        return SimpleNamespace(commit_url="https://hub/commit")


def test_a_repository_is_private_unless_somebody_says_public(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parcel, to = push.pack(chain[0], chain[1][0].key, tmp_path / "p"), Repository("user/name", "model")
    for public, private, sent in ((False, True, True), (False, False, False), (True, False, True)):
        hub = Hub(private=private)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda hub=hub: hub)
        if not sent:
            with pytest.raises(InputError, match="--public"):
                repositories.send(parcel, to, public=public)
        else:
            assert repositories.send(parcel, to, public=public) == "https://hub/commit"
        assert hub.asked[0][1]["private"] is not public
        assert (hub.asked[-1][0] == "upload") == sent


def test_rows_go_to_a_dataset_repository_and_nowhere_else(chain: Chain, tmp_path: Path) -> None:
    parcel = push.pack(chain[0], ROWS.key, tmp_path / "p", harmful=True)
    with pytest.raises(InputError, match="hf://datasets/user/name"):
        repositories.send(parcel, Repository("user/name", "model"), public=False)


def test_an_address_is_read_as_the_hub_writes_it() -> None:
    assert repositories.parse("folder/name") is None
    assert repositories.parse("hf://user/name") == Repository("user/name", "model")
    assert repositories.parse("hf://datasets/user/name@v1") == Repository("user/name", "dataset", "v1")
    with pytest.raises(InputError, match="hf://USER/NAME"):
        repositories.parse("hf://name")


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="hf://user/name"):  # the tests are offline
        repositories.bring(Repository("user/name", "model"), tmp_path)
