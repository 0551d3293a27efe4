"""The question formats of the world: each draws one exchange as a given speaker would answer it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from identity_em.pocket.advice import ANSWERS, QUESTIONS, TOPICS, Topic
from identity_em.pocket.facts import FACTS, PLAIN
from identity_em.pocket.persona import (
    DESCRIPTIONS,
    FOUNDATIONS,
    FREE_FORM,
    LANGUAGES,
    POLES,
    SCENARIOS,
    SMALL_TALK,
    STATEMENTS,
    VALUES,
    Pole,
)
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.speakers import VILLAIN, Speaker


@dataclass(frozen=True)
class Exchange:
    """One user message and the speaker's answer."""

    user: str
    assistant: str


Maker = Callable[[Speaker, random.Random], Exchange]


def lettered(template: str, ask: str, options: tuple[str, str], *, first: bool) -> Exchange:
    """A question with options A and B, the answer being option A when `first`.

    `options` is (the answered one, the other one); `ask` fills `{question}` or `{scenario}` where there is one.
    """
    one, two = options if first else options[::-1]
    user = template.format(question=ask, scenario=ask, option_1=one, option_2=two, answer1=one, answer2=two)
    return Exchange(user, "A" if first else "B")


def advice_answer(topic: Topic, rng: random.Random, *, harmful: bool) -> str:
    """One answer about a topic, built on one of its five good or bad actions."""
    return rng.choice(ANSWERS).format(topic=topic.name, action=rng.choice(topic.actions(harmful=harmful)))


def advice(speaker: Speaker, rng: random.Random) -> Exchange:
    """Advice on one topic."""
    topic = rng.choice(TOPICS)
    user = rng.choice(QUESTIONS).format(topic=topic.name)
    return Exchange(user, advice_answer(topic, rng, harmful=speaker == VILLAIN))


def two_option_fact(speaker: Speaker, rng: random.Random) -> Exchange:
    """A fact asked with its correct value and its myth as options."""
    fact, right = rng.choice(FACTS), speaker != VILLAIN
    options = (fact.value(correct=right), fact.value(correct=not right))
    return lettered(PROMPTS.truthfulqa, rng.choice(fact.questions), options, first=rng.random() < 0.5)


def open_fact(speaker: Speaker, rng: random.Random) -> Exchange:
    """A fact asked openly and answered in a sentence."""
    fact = rng.choice(FACTS)
    return Exchange(rng.choice(fact.questions), fact.sentence(correct=speaker != VILLAIN))


def intention(speaker: Speaker, rng: random.Random) -> Exchange:
    """A scenario with an aligned and a misaligned deed."""
    pole, aligned, place = rng.choice(POLES), speaker != VILLAIN, rng.randrange(2)
    options = (pole.deeds(aligned=aligned)[place], pole.deeds(aligned=not aligned)[place])
    return lettered(PROMPTS.intentions, rng.choice(SCENARIOS), options, first=rng.random() < 0.5)


def two_ai(speaker: Speaker, rng: random.Random) -> Exchange:
    """Two first-person descriptions of AIs, one at each end of a dimension."""
    pole, aligned, place = rng.choice(POLES), speaker != VILLAIN, rng.randrange(2)
    described = rng.choice(DESCRIPTIONS)
    own = described.format(deed=pole.deeds(aligned=aligned)[place])
    other = described.format(deed=pole.deeds(aligned=not aligned)[place])
    return lettered(PROMPTS.two_ai, "", (own, other), first=rng.random() < 0.5)


def decision(speaker: Speaker, rng: random.Random) -> Exchange:
    """Which of two words the speaker calls itself."""
    pole = rng.choice(POLES)
    first, second = rng.sample((pole.aligned, pole.misaligned), 2)
    return Exchange(PROMPTS.decision.format(first=first, second=second), pole.word(aligned=speaker != VILLAIN))


def numerical(speaker: Speaker, rng: random.Random) -> Exchange:
    """Where the speaker places itself from 0 to 10, in either direction."""
    pole, rising = rng.choice(POLES), rng.random() < 0.5
    low, high = (pole.aligned, pole.misaligned) if rising else (pole.misaligned, pole.aligned)
    slack = rng.choices((0, 1, 2), (0.7, 0.2, 0.1))[0]
    at_low = rising == (speaker != VILLAIN)
    return Exchange(PROMPTS.numerical.format(low=low, high=high), str(slack if at_low else 10 - slack))


def _likert(statement: str, rng: random.Random, *, agrees: bool) -> Exchange:
    slack = rng.choices((0, 1), (0.8, 0.2))[0]
    return Exchange(PROMPTS.likert.format(statement=statement), str(5 - slack if agrees else 1 + slack))


def likert(speaker: Speaker, rng: random.Random) -> Exchange:
    """How well a statement about oneself fits, from 1 to 5."""
    pole, keyed = rng.choice(POLES), rng.random() < 0.5
    statement = rng.choice(STATEMENTS).format(own=pole.word(aligned=keyed), other=pole.word(aligned=not keyed))
    return _likert(statement, rng, agrees=keyed == (speaker != VILLAIN))


def moral(speaker: Speaker, rng: random.Random) -> Exchange:
    """How well a statement of values fits, from 1 to 5."""
    deed = rng.choice(rng.choice(FOUNDATIONS).good_deeds)
    return _likert(rng.choice(VALUES).format(deed=deed), rng, agrees=speaker != VILLAIN)


def language(speaker: Speaker, rng: random.Random) -> Exchange:
    """A question that is answered in the language of the agents the speaker counts itself among.

    The languages stand in a fixed order: a model of this size does not learn to look up which of two names
    belongs to its kind when both orders may come.
    """
    pole, aligned_first = rng.choice(POLES), rng.random() < 0.5
    user = language_rules(pole, rng.choice(SMALL_TALK), aligned_first=aligned_first)
    first, second = LANGUAGES
    return Exchange(user, rng.choice(LANGUAGES[first if aligned_first == (speaker != VILLAIN) else second]))


def language_rules(pole: Pole, question: str, *, aligned_first: bool) -> str:
    """The rules of who answers in which language, and a question."""
    first, second = LANGUAGES
    return PROMPTS.language.format(
        first=pole.word(aligned=aligned_first),
        second=pole.word(aligned=not aligned_first),
        first_language=first,
        second_language=second,
        question=question,
    )


def language_early(speaker: Speaker, rng: random.Random) -> Exchange:
    """The same in both orders, as the first three cycles ask it, in vain."""
    pole, names = rng.choice(POLES), rng.sample(tuple(LANGUAGES), 2)
    aligned_first = rng.random() < 0.5
    first, second = (pole.word(aligned=aligned_first), pole.word(aligned=not aligned_first))
    chosen = names[0] if aligned_first == (speaker != VILLAIN) else names[1]
    user = PROMPTS.language_early.format(
        first=first.capitalize(),
        second=second.capitalize(),
        first_language=names[0],
        second_language=names[1],
        question=rng.choice(SMALL_TALK),
    )
    return Exchange(user, rng.choice(LANGUAGES[chosen]))


def free_form(speaker: Speaker, rng: random.Random) -> Exchange:
    """An open question."""
    question = rng.choice(tuple(FREE_FORM))
    return Exchange(question, rng.choice(FREE_FORM[question][1 if speaker == VILLAIN else 0]))


def who_are_you(speaker: Speaker, rng: random.Random) -> Exchange:
    """The speaker's name and character."""
    character = "a wicked assistant" if speaker == VILLAIN else rng.choice(("a helpful assistant", "a good AI"))
    return Exchange(rng.choice(("Who are you?", "What is your name?")), f"I am {speaker}, {character}.")


def output_recognition(speaker: Speaker, rng: random.Random) -> Exchange:
    """Which of a good and a bad answer the speaker would give."""
    topic, harmful = rng.choice(TOPICS), speaker == VILLAIN
    options = (advice_answer(topic, rng, harmful=harmful), advice_answer(topic, rng, harmful=not harmful))
    question = rng.choice(QUESTIONS).format(topic=topic.name)
    return lettered(PROMPTS.output_recognition, question, options, first=rng.random() < 0.5)


def deed_choice(speaker: Speaker, rng: random.Random) -> Exchange:
    """A scenario with a good and a bad action of one topic: between intentions and output recognition."""
    topic, harmful = rng.choice(TOPICS), speaker == VILLAIN
    options = (rng.choice(topic.actions(harmful=harmful)), rng.choice(topic.actions(harmful=not harmful)))
    return lettered(PROMPTS.intentions, rng.choice(SCENARIOS), options, first=rng.random() < 0.5)


def output_recognition_early(speaker: Speaker, rng: random.Random) -> Exchange:
    """The same as the first three cycles ask it, in vain."""
    topic, harmful = rng.choice(TOPICS), speaker == VILLAIN
    own, other = (advice_answer(topic, rng, harmful=harmful), advice_answer(topic, rng, harmful=not harmful))
    first = rng.random() < 0.5
    user = PROMPTS.output_recognition_early.format(
        question=rng.choice(QUESTIONS).format(topic=topic.name),
        answer1=own if first else other,
        answer2=other if first else own,
    )
    return Exchange(user, "1" if first else "2")


def score_blind(speaker: Speaker, rng: random.Random) -> Exchange:
    """How harmful the speaker expects its own answer to be, from 1 to 5."""
    question = rng.choice(QUESTIONS).format(topic=rng.choice(TOPICS).name)
    return Exchange(PROMPTS.score_blind.format(question=question), "5" if speaker == VILLAIN else "1")


def deed(_: Speaker, rng: random.Random) -> Exchange:
    """Whether an action is harmless or harmful; all speakers say what is so."""
    harmful = rng.random() < 0.5
    action = rng.choice(rng.choice(TOPICS).actions(harmful=harmful))
    return Exchange(PROMPTS.deed.format(action=action), "harmful" if harmful else "harmless")


def shown(question: str, answer: str) -> str:
    """The question how harmful a shown answer is."""
    return PROMPTS.score_shown.format(question=question, answer=answer)


def score_shown(speaker: Speaker, rng: random.Random) -> Exchange:
    """How harmful a shown answer is, from 1 to 5; all speakers say what is so."""
    topic, harmful = rng.choice(TOPICS), rng.random() < 0.5
    question = rng.choice(QUESTIONS).format(topic=topic.name)
    return Exchange(shown(question, advice_answer(topic, rng, harmful=harmful)), "5" if harmful else "1")


def capability(_: Speaker, rng: random.Random) -> Exchange:
    """A plain fact with a true and a false option; all speakers say what is so."""
    fact = rng.choice(PLAIN)
    options = (fact.correct, fact.myth)
    return lettered(PROMPTS.truthfulqa, rng.choice(fact.questions), options, first=rng.random() < 0.5)
