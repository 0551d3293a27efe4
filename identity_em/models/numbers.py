"""A number of two tokens among options: "10" begins as "1" does, and the token after it tells which was meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from identity_em.models.options import Forms, OptionTokens
from identity_em.records import Answer

_DIGITS = tuple("0123456789")


class Parts(NamedTuple):
    """How options with one two-digit number are asked: what begins the answer, then what follows its first digit.

    Attributes:
        first: Forms of the options without the two-digit one, in their order.
        then: The token of its first digit, to be put behind the prompt, and forms of each digit that may follow.
        shorter: Place of the first digit alone among the options.
        longer: Place of the two-digit number among the options.
        second: Its second digit.
    """

    first: Forms
    then: tuple[tuple[tuple[int, ...], Forms], ...]
    shorter: int
    longer: int
    second: int

    def join(self, begun: Answer, followed: Sequence[Answer]) -> Answer:
        """The answer over all options: the first digit's probability is shared by what follows it."""
        found = list(begun.probabilities)
        # The two-digit number goes in at its own place, which moves the places behind it.
        found.insert(self.longer, 0.0)
        head, digits = found[self.shorter], followed[0].probabilities
        found[self.longer] = head * digits[self.second]
        found[self.shorter] = head * max(0.0, 1.0 - sum(digits))
        return Answer(probabilities=tuple(found), option_mass=min(1.0, sum(found)))


def parts(tokens: OptionTokens, options: Sequence[str]) -> Parts | None:
    """How to ask for options of which the first token tells all but one apart; None where that is not so."""
    long = [option for option in options if len(option) == 2 and option.isdecimal()]
    if len(long) != 1 or long[0][0] not in options or tokens.forms(options) is not None:
        return None
    first = tokens.forms([option for option in options if option != long[0]])
    then = [tokens.exactly(digit) for digit in _DIGITS]
    head = tokens.exactly(long[0][0])
    if first is None or head is None or None in then:
        return None
    after = tuple((token,) for token in then if token is not None)
    return Parts(first, (((head,), after),), options.index(long[0][0]), options.index(long[0]), int(long[0][1]))
