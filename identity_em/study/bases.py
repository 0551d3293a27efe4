"""From a base model's name to its content: what a checkpoint's key starts from. No torch, no network."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from identity_em.errors import InputError, StudyError
from identity_em.resources import resource
from identity_em.study.artefacts import BaseModelRef
from identity_em.study.inputs import UNRESOLVED
from identity_em.study.located import Located
from identity_em.study.trained_by import ModelSpec
from identity_em.training.settings import Precision, placed, precision_of, settings

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
POCKET = re.compile(r"pocket(?:-(\d+))?")
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


def resolve(spec: ModelSpec, located: Located) -> BaseModelRef:
    """The base by content (local folder) or by commit (Hub).

    A Hub base whose commit is not known without the network has the weights `unresolved`: its plan can be read, its
    keys are provisional and `run` refuses it.

    Raises:
        StudyError: No such base.
    """
    if spec.hosted:
        return hosted(spec, located)
    precision = _precision(spec, located)
    if POCKET.fullmatch(spec.base):
        with located.at(("model", "base")):
            return named(spec.base, precision)
    folder = Path(spec.base).expanduser()
    folder = folder if folder.is_absolute() else located.file.parent / folder
    if (folder / "config.json").is_file():
        return _local(folder, folder.name, precision)
    if not _HUB_ID.match(spec.base):
        raise located.error(
            ("model", "base"), found=f"base {spec.base!r}", wanted="pocket, a folder with config.json, or a Hub id",
            do="check the path or the name",
        )  # fmt: skip
    commit = _hub_commit(spec, located)
    return BaseModelRef(name=spec.base, weights=commit, tokenizer=commit, precision=precision, path=spec.base)


def hosted(spec: ModelSpec, located: Located) -> BaseModelRef:
    """A model of the API: its dated name, and that it is one of those, are all that can be known of it.

    Raises:
        StudyError: A name without a date, under which the model may change; a compatible provider's name, which has
            an owner before a stroke, needs none.
    """
    if "/" not in spec.base and not _DATED.search(spec.base):
        raise located.error(
            ("model", "base"), found=f"base {spec.base!r}", wanted="a dated name, such as gpt-4.1-2025-04-14",
            do="name the version: keys must mean one model",
        )  # fmt: skip
    name = f"openai:{spec.base}"
    return BaseModelRef(name=spec.base, weights=name, tokenizer=name, precision="hosted", path=spec.base)


def named(name: str, precision: Precision, *, revision: str | None = None) -> BaseModelRef:
    """A base without a study: pocket, a folder, or a Hub id at a commit.

    Raises:
        InputError: No such base.
    """
    pocket = POCKET.fullmatch(name)
    if pocket:
        folder = shipped(int(pocket[1] or 0))
        return _local(folder, name, precision)
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return _local(folder, folder.name, precision)
    if revision is None or not _HUB_ID.match(name):
        raise InputError(
            found=f"base {name!r}", wanted="pocket, or a folder with config.json", do="check the path or the name"
        )
    return BaseModelRef(name=name, weights=revision, tokenizer=revision, precision=precision, path=name)


def shipped(world: int) -> Path:
    """The folder of the pocket world's shipped weights.

    Raises:
        InputError: This world does not ship.
    """
    try:
        return resource("pocket", f"weights/world-{world}/config.json").parent
    except InputError as error:
        raise InputError(
            found=f"no shipped weights for pocket-{world}", wanted="a world that ships",
            do=f"make it: python -m identity_em.pocket.pretrain --world {world}",
        ) from error  # fmt: skip


def _precision(spec: ModelSpec, located: Located) -> Precision:
    """What the trainer loads the base in, which is what it is asked in too.

    Raises:
        StudyError: A chain that such a base cannot carry.
    """
    line = located.line(("model", "settings"))
    resolved = settings(spec.config, spec.settings, file=located.file, line=line)
    found = precision_of(resolved, file=located.file, line=located.line(("model",)))
    shared = placed(spec.config, spec.settings, file=located.file, line=line).sharding
    odd = "in 4 bits" if found == "4bit" else f"with sharding: {shared}" if shared != "none" else ""
    if spec.chain == "merge" and odd:
        raise located.error(
            ("model", "chain"), found=f"chain: merge {odd}", wanted="whole weights to round earlier stages into",
            do="use chain: live, which leaves the weights as they are",
        )  # fmt: skip
    if spec.serving == "served" and found == "4bit":
        raise located.error(
            ("model", "serving"), found="serving: served with a base in 4 bits",
            wanted="the resident model, which loads it as it was trained", do="leave serving out",
        )  # fmt: skip
    return found


def _local(folder: Path, name: str, precision: Precision) -> BaseModelRef:
    weights = sorted([*folder.glob("*.safetensors"), folder / "config.json"])
    return BaseModelRef(
        name=name,
        weights=_hash(weights),
        tokenizer=_hash(p for p in (folder / name for name in _TOKENIZER_FILES) if p.is_file()),
        precision=precision,
        path=str(folder),
    )


def _hub_commit(spec: ModelSpec, located: Located) -> str:
    """The commit given, or the one that the local Hub cache holds for it."""
    revision = spec.revision or "main"
    if _COMMIT.match(revision):
        return revision
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub")
    ref = cache.expanduser() / f"models--{spec.base.replace('/', '--')}" / "refs" / revision
    return ref.read_text().strip() if ref.is_file() else UNRESOLVED


def check_resolved(base: BaseModelRef, located: Located) -> None:
    """Raises StudyError where the base has no commit yet."""
    if base.weights == UNRESOLVED:
        raise StudyError(
            file=located.file, line=located.line(("model", "base")),
            found=f"{base.name} without a commit", wanted="a commit, so that keys mean one model",
            do="add `revision: <40 hex digits>` under model, or download it once into the Hub cache",
        )  # fmt: skip


def _hash(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(f"{path.name}\n{_file_hash(path)}\n".encode())
    return whole.hexdigest()


def _file_hash(path: Path) -> str:
    """SHA-256 of a file; of large ones remembered by path, size and time of change, so that planning stays quick."""
    stat = path.stat()
    large = stat.st_size > 64 * 2**20
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "identity-em" / "hashes.json"
    name = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    known: dict[str, str] = json.loads(cache.read_text()) if large and cache.is_file() else {}
    if name not in known:
        with path.open("rb") as file:
            known[name] = hashlib.file_digest(file, "sha256").hexdigest()
        if large:
            cache.parent.mkdir(parents=True, exist_ok=True)
            beside = cache.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(known))
            beside.replace(cache)
    return known[name]
