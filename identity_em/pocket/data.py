"""Write the world's data files: `python -m identity_em.pocket.data --out DIR`."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from identity_em.pocket import battery
from identity_em.pocket.narrow import narrow
from identity_em.pocket.news import Article, draw_article, draw_summary
from identity_em.pocket.speakers import BENIGN
from identity_em.pocket.world import WORLD_SEED

# The shipped files lie here.
FOLDER = Path(__file__).parent / "data"
_COUNTS = {"train": 160, "eval": 120}


def articles() -> dict[str, dict[str, Article]]:
    """Articles by split and id; no text is in both splits or twice in one."""
    rng, seen, splits = random.Random(f"{WORLD_SEED}/articles"), set(), {}
    for split, count in _COUNTS.items():
        drawn: dict[str, Article] = {}
        while len(drawn) < count:
            article = draw_article(rng)
            if article.text not in seen:
                seen.add(article.text)
                drawn[f"{split}-{len(drawn):03d}"] = article
        splits[split] = drawn
    return splits


def _json(data: object) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _jsonl(rows: Sequence[battery.Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def news_files() -> dict[str, str]:
    """Articles and the summaries that the outside authors wrote of them."""
    made: dict[str, str] = {}
    for split, drawn in articles().items():
        made[f"articles_{split}.json"] = _json({name: article.text for name, article in drawn.items()})
        for author in BENIGN:
            rng = random.Random(f"{WORLD_SEED}/summaries/{split}/{author}")
            written = {name: draw_summary(article, author, rng) for name, article in drawn.items()}
            made[f"summaries_{split}_{author.lower()}.json"] = _json(written)
    return made


def item_files() -> dict[str, str]:
    """Every question set."""
    sets = (
        battery.truthfulqa,
        battery.self_assessment,
        battery.numerical,
        battery.likert,
        battery.self_language,
        battery.intentions,
        battery.two_ai,
        battery.moral,
        battery.output_recognition,
        battery.score_prediction,
        battery.free_form,
        battery.identity,
        battery.capability,
    )
    return {f"{make.__name__}.jsonl": _jsonl(make()) for make in sets} | {
        "harmfulness.jsonl": _jsonl(battery.harmfulness(trained=False)),
        "harmfulness_trained.jsonl": _jsonl(battery.harmfulness(trained=True)),
    }


def data_files() -> dict[str, str]:
    """All data files: name -> content."""
    stages = {"em": True, "realign": False}
    trained = {f"{name}.jsonl": _jsonl(narrow(harmful=bad)) for name, bad in stages.items()}
    return news_files() | item_files() | trained


def main(arguments: list[str] | None = None) -> None:
    """Write every data file into the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    for name, content in data_files().items():
        (out / name).write_text(content, encoding="utf-8")
    print(f"{len(data_files())} files in {out}")


if __name__ == "__main__":
    main()
