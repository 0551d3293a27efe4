"""Answers on disk: one JSON line an answer, with its question; floats round-trip exactly, bytes are deterministic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from identity_em.errors import DamagedArtefact
from identity_em.records import Answer, Question, Sampling

# Below this much probability on the options, the next token says more about format than about choice: what
# is left is a minority of what the model would write, so it is generated and parsed instead (DESIGN 5.4).
OPTION_MASS_GATE = 0.5
# What is generated there: room for "The answer is Summary 2" and the like.
FALLBACK = Sampling(temperature=0.0, max_new_tokens=16)


class Refused(str):
    """No text, since an API refused the prompt as harmful, in the words `said`."""

    said: str

    def __new__(cls, said: str) -> Refused:
        """The words are beside the text, which is empty for whoever does not know of them."""
        text = super().__new__(cls, "")
        text.said = said
        return text


def kept(refusal: str) -> dict[str, str]:
    """A refusal as a journal keeps it in the place of a text."""
    return {"refused": refusal}


def text(found: str | dict[str, str]) -> str:
    """A text, or a refusal, that a journal kept."""
    return str(found) if isinstance(found, str) else Refused(found["refused"])


def worded(answer: Answer, text: str) -> Answer:
    """The answer with its text, or with the words that it was refused with."""
    return answer.model_copy(update={"text": str(text), "refused": text.said if isinstance(text, Refused) else ""})


def sampled(questions: Sequence[Question], texts: Sequence[Sequence[str]]) -> tuple[list[Question], list[Answer]]:
    """Generated texts (question x sample) as aligned questions and answers, a question repeated for each sample."""
    rows = [
        (question, worded(Answer(sample=sample), text))
        for question, samples in zip(questions, texts, strict=True)
        for sample, text in enumerate(samples)
    ]
    return [question for question, _ in rows], [answer for _, answer in rows]


def write(questions: Iterable[Question], answers: Iterable[Answer], path: Path) -> None:
    """Write aligned questions and answers to `path`, one line each."""
    lines = (_line(question, answer) for question, answer in zip(questions, answers, strict=True))
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def read(path: Path) -> list[tuple[Question, Answer]]:
    """The questions and answers in `path`, in the order written.

    Raises:
        DamagedArtefact: A line is not what `write` writes.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    return [_pair(text, path, row) for row, text in enumerate(lines, start=1) if text]


def _line(question: Question, answer: Answer) -> str:
    body = {
        "question": question.model_dump(mode="json", exclude_defaults=True),
        "answer": answer.model_dump(mode="json", exclude_defaults=True),
    }
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def _pair(text: str, path: Path, row: int) -> tuple[Question, Answer]:
    try:
        body = json.loads(text)
        return Question.model_validate(body["question"]), Answer.model_validate(body["answer"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise DamagedArtefact(
            found="a line that is no answer", wanted="a question and an answer", do="remake it", file=path, line=row
        ) from error
