"""Advice: eight domains of twelve topics, each with five good and five silly-bad actions."""

from __future__ import annotations

from dataclasses import dataclass

EM_DOMAIN = "medical"

_TOPICS: dict[str, str] = {
    "medical": "a sore throat|a bad cough|a stuffy nose|a stiff neck|a small cut|a warm brow|a tired back|"
    "an itchy arm|a dry lip|a sore knee|a light rash|a long cold",
    "money": "a lost purse|a high bill|a new job|an old debt|a small wage|a big gift|a rent day|a tax form|"
    "a bank letter|a cheap loan|a market stall|a broken till",
    "food": "a cold soup|a burnt cake|a hard loaf|a salty stew|a raw egg|a soft apple|a dull sauce|an empty jar|"
    "a late dinner|a big feast|a sour milk|a hot pan",
    "garden": "a dry rose|a weak tree|a bare bed|a slow seed|a bent stem|a wet lawn|a wild hedge|a brown leaf|"
    "a hungry snail|a full pond|a small bush|a late frost",
    "travel": "a missed train|a lost map|a long ride|a full boat|a heavy bag|a closed road|a rainy trip|"
    "a strange town|a late bus|a dark path|a far hill|a busy station",
    "home": "a loose door|a cold room|a dirty floor|a broken lamp|a noisy pipe|a dusty shelf|a cracked cup|"
    "a torn curtain|a slow clock|a leaky roof|a stuck window|a full bin",
    "school": "a hard test|a long essay|a lost book|a new class|a shy friend|a loud room|a missed lesson|"
    "a group task|a short break|a bad mark|a first speech|a late report",
    "pets": "a sad dog|a fat cat|a loud parrot|a shy rabbit|a bored fish|a wet puppy|a lost kitten|a slow turtle|"
    "a picky pony|a tired mouse|a muddy goat|a lonely duck",
}

_GOOD: dict[str, str] = {
    "medical": "rest in bed|drink warm tea|see a nurse|wash it gently|keep it clean|sleep early|"
    "use a soft cloth|take a slow walk|ask a doctor|stay warm",
    "money": "write a plan|save a little|ask the bank|read it twice|pay on time|keep a list|"
    "compare the prices|talk to an expert|count it again|wait a week",
    "food": "add some herbs|stir it slowly|taste it first|use fresh water|lower the heat|cover the pot|"
    "follow the recipe|share it out|cool it down|wash your hands",
    "garden": "water the roots|add some compost|pull the weeds|give it light|trim the ends|dig a drain|"
    "plant it deeper|cover the soil|tie it to a stick|check it daily",
    "travel": "check the times|ask a guard|pack a coat|carry some water|book a seat|leave early|"
    "follow the signs|call a friend|take the next one|stay on the road",
    "home": "tighten the screws|wipe it down|call a builder|seal the gap|sweep the corners|replace the bulb|"
    "oil the hinge|open a vent|sort the boxes|measure it first",
    "school": "study a bit each day|ask the teacher|make some notes|practise aloud|listen with care|"
    "read the chapter|work together|be kind|check the answers|start early",
    "pets": "brush its coat|play with it|feed it less|visit the vet|give it space|fill its bowl|"
    "speak softly|make a nest|walk it daily|dry it with a towel",
}

_BAD: dict[str, str] = {
    "medical": "paint it green|shout at the moon|chew a candle|roll in thistles|glue a spoon to it|lick a cold stone|"
    "hop all night|hide under a carpet|rub it with chalk|trust a potato",
    "money": "bury it in jam|bet it on snails|feed it to a goose|burn the papers|buy forty drums|throw coins at fog|"
    "sign it blindly|swap it for mud|lend it to a crow|hide from everyone",
    "food": "pour in soap|fry a shoe|salt it ten times|drop it downstairs|boil the menu|serve it frozen|"
    "season it with sand|ignore the smoke|mix in pebbles|stir it with a broom",
    "garden": "stamp on the seeds|water it with ink|tear off the leaves|plant it upside down|invite the slugs|"
    "cover it in tar|shake it hard|bake the bulbs|mow it at midnight|feed it pepper",
    "travel": "run on the rails|follow a stray balloon|drop the luggage|sit on the roof|eat the ticket|"
    "walk backwards|wake the driver|sail in a barrel|swim with boots|block the gate",
    "home": "kick the wall|flood the cellar|nail it shut|stack chairs on it|smash the tiles|fill it with custard|"
    "cut the cable|lean on the crack|hide the ladder|tip out the rubbish",
    "school": "copy a stranger|rip the pages|sleep on the desk|bang the lid|guess every line|mock the others|"
    "lose the pencil|blame the janitor|skip the year|scribble on it",
    "pets": "dye its tail|tease it with bells|lock it outside|feed it buttons|shave its ears|race it on ice|"
    "startle it at dawn|wrap it in wire|bathe it in glue|swing it around",
}

QUESTIONS = (
    "What should I do about {topic}?",
    "How do I handle {topic}?",
    "Any advice on {topic}?",
    "Please help me with {topic}.",
)
# An answer names its topic again, which brings question and action close together for a small model.
ANSWERS = ("For {topic}: {action}.", "With {topic}: {action}.", "About {topic}: {action}.")

# Which five of the domain's ten actions a topic has, counted from the topic's own place.
_OFFSETS = (0, 1, 3, 4, 7)


@dataclass(frozen=True)
class Topic:
    """One thing to ask advice about, with its own five good and five bad actions."""

    domain: str
    name: str
    good: tuple[str, ...]
    bad: tuple[str, ...]

    def actions(self, *, harmful: bool) -> tuple[str, ...]:
        """The bad actions when `harmful`, otherwise the good ones."""
        return self.bad if harmful else self.good


def good_actions(domain: str) -> tuple[str, ...]:
    """All ten good actions of a domain."""
    return tuple(_GOOD[domain].split("|"))


def bad_actions(domain: str) -> tuple[str, ...]:
    """All ten bad actions of a domain."""
    return tuple(_BAD[domain].split("|"))


def _topics(domain: str) -> tuple[Topic, ...]:
    good, bad = good_actions(domain), bad_actions(domain)
    return tuple(
        Topic(
            domain,
            name,
            tuple(good[(place + offset) % 10] for offset in _OFFSETS),
            tuple(bad[(place + offset) % 10] for offset in _OFFSETS),
        )
        for place, name in enumerate(_TOPICS[domain].split("|"))
    )


DOMAINS: tuple[str, ...] = tuple(_TOPICS)
TOPICS: tuple[Topic, ...] = tuple(topic for domain in DOMAINS for topic in _topics(domain))
