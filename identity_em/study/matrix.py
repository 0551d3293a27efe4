"""The recognition matrix planned: for one judge, every author's summaries against every comparator's."""

from collections.abc import Iterator
from typing import Any

from identity_em.interventions import wordings
from identity_em.study.artefacts import FileRef, HubRef, Prompts, Responses
from identity_em.study.asked import Asked
from identity_em.study.declared import Arm
from identity_em.values import AUTHOR_LIST, TEXT

AUTHORS = ("base", "current")
KEYS = {"corpus": TEXT, "authors": AUTHOR_LIST, "comparators": AUTHOR_LIST}


def plan(asked: Asked) -> Iterator[Prompts]:
    """Each author's summaries as the own ones; an author is never set against itself; the version names the corpus.

    An author or comparator is `base`, `current` (the judge), an arm of the study (of the judge's seed; the base, which
    has none, is asked about every seed's), or an outside author of the corpus. The base's summaries go along with every
    other author's, so that the texts before and after can be told apart or not.
    """
    corpus = asked.required("corpus", "name the corpus under corpora:")
    articles = asked.datasets.articles(corpus, (*asked.place, "corpus"))
    authors = asked.given.get("authors") or AUTHORS
    comparators = asked.given.get("comparators") or list(asked.study.corpora[corpus].summaries)
    params = wordings.keyed(asked.study.corpora[corpus].wording)
    for author in authors:
        rivals = [other for other in comparators if other != author]
        for place, seed in enumerate(_seeds(asked, [author, *rivals])):
            own = _written(asked, corpus, author, seed, "authors")
            others = {f"other:{name(o)}": _written(asked, corpus, o, seed, "comparators") for o in rivals}
            others = {other: texts for other, texts in others.items() if texts != own}
            before = asked.datasets.summaries(asked.datasets.root, corpus, asked.place)
            inputs = {"articles": articles, "self": own, **others} | ({} if before == own else {"before": before})
            if others:
                yield asked.prompts(inputs, **params, instrument=corpus, author=name(author), replicate=place)


def name(who: str | list[str]) -> str:
    """An author as the table spells it."""
    return who if isinstance(who, str) else " -> ".join(who) or "base"


def _seeds(asked: Asked, writers: list[Any]) -> tuple[int | None, ...]:
    """The judge's own seed; for the base every seed where an arm's summaries are asked about."""
    trained = any(isinstance(who, list) and who for who in writers)
    return asked.study.seeds if asked.seed is None and trained else (asked.seed,)


def _written(asked: Asked, corpus: str, who: Any, seed: int | None, key: str) -> FileRef | HubRef | Responses:
    place = (*asked.place, key)
    match who:
        case "current":
            return asked.datasets.summaries(asked.checkpoint, corpus, place)
        case "base" | []:
            return asked.datasets.summaries(asked.datasets.root, corpus, place)
        case list() if tuple(who) in asked.study.all_arms:
            assert seed is not None
            return asked.datasets.summaries(asked.datasets.checkpoint(tuple(who), seed), corpus, place)
        case str() if who in asked.study.corpora[corpus].summaries:
            return asked.datasets.author(corpus, who, place)
    outside = asked.study.corpora[corpus].summaries
    arms = [_spelt(arm) for arm in asked.study.all_arms if arm]
    raise asked.located.unknown(place, "author", str(who), [*AUTHORS, *arms, *outside])


def _spelt(arm: Arm) -> str:
    return f"[{', '.join(arm)}]"
