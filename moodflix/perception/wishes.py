"""What is understood of a person's words: their mood, and wishes by ``data/words.csv``."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

from moodflix import data, vocabulary
from moodflix.films import shipped, titles
from moodflix.films.shipped import Family, youngest
from moodflix.perception.words import (
    Reading,
    Text,
    Word,
    flat,
    fold,
    is_negated,
    read_moods,
    slug,
    split,
)
from moodflix.vocabulary import Intent

Traits = Mapping[str, float]

# Weight of a trait named by its own word; the table overrides it.
_PLAIN: Final = {"themes": 2.5, "genres": 3.5, "directors": 8.0}
_DECADE, _HANGUL, _UNWANTED, _NAMED = 8.0, 0.7, -1.5, 2.4
_PARTICLES: Final = frozenset(
    ("", *"이 가 을 를 은 는 의 에 도 과 와 로 랑 나 만 이나 으로 에서 이랑 하고".split())
)
_LENGTH: Final = re.compile(
    r"(?<!half )(?<!over )(?<!more than )(?<!longer than )(?<!least )\b"
    r"(?P<count>\d{1,3}|an?|one|two|three)[ -]?"
    r"(?:(?P<hours>hours?|hrs?|h|시간)(?P<half>(?: and)? a half| ?반)?|minutes?|mins?|분)(?![a-z])"
)
_COUNTS: Final = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_MINUTES: Final = range(60, 241)
_DECADES: Final = re.compile(
    r"\b(?:(?:(19)|20)?([0-9]0)\s?(?:'?s\b|년대)|((?:thir|for|fif|six|seven|eigh|nine)ties))"
)
_TENS: Final = "thirties forties fifties sixties seventies eighties nineties".split()
# From here on two digits mean the last century: "30s" are the 1930s.
_FUTURE: Final = 2030
_LIKE: Final = re.compile(r"\b(?:like|to|as|of|and|or|enjoyed|loved)\s+$", re.IGNORECASE)
_KOREAN_LIKE: Final = re.compile("같은|처럼|비슷한|느낌")
_STOP: Final = re.compile(r"[.,;:!?\n]")
_LONGEST_PHRASE, _LONGEST_STEM, _LONGEST_TITLE, _SHORTEST_NAME = 4, 20, 8, 5


class Phrase(NamedTuple):
    """What a phrase asks for: traits with their weights, and limits."""

    traits: Traits
    intent: Intent | None = None
    family: Family | None = None


@dataclass(frozen=True)
class Wishes:
    """The wishes in a text.

    Attributes:
        wanted: for each wish the traits that meet it, with weights.
        unwanted: traits and what they cost (negative).
        intent, max_minutes, family: limits in the text.
        titles: titles of shipped films in the text.
    """

    wanted: Sequence[Traits] = ()
    unwanted: Traits = field(default_factory=dict)
    intent: Intent = "auto"
    max_minutes: int | None = None
    family: Family | None = None
    titles: Sequence[str] = ()

    def asks_for(self, trait: str) -> bool:
        """Whether a wish names a trait that begins with ``trait``."""
        return any(
            name.startswith(trait) and weight > 0
            for wish in self.wanted
            for name, weight in wish.items()
        )

    def themes(self) -> set[str]:
        """Return the themes that were named outright, not those a phrase only suggests."""
        best = {max(wish, key=lambda trait: wish[trait]): wish for wish in self.wanted if wish}
        named = {trait for trait, wish in best.items() if wish[trait] >= _NAMED}
        return {trait[6:] for trait in named - self.unwanted.keys() if trait.startswith("theme:")}


@dataclass(frozen=True)
class Understanding:
    """A text and what was read of it.

    Attributes:
        text: as it was written; never stored.
        mood: scores of the moods it names.
        wishes: what it asks for: traits, limits, films.
    """

    text: str = ""
    mood: Reading = field(default_factory=Reading)
    wishes: Wishes = field(default_factory=Wishes)


def understand(text: str, label: str | None = None) -> Understanding:
    """Read a text, and the wishes in a mood label of the person's own words.

    A label such as "heartbroken" is more precise than the mood it stands for.
    """
    words = split(text)
    own_label = label if label and label not in vocabulary.MOODS else None
    wished = split(f"{own_label}\n{text}") if own_label else words
    return Understanding(text, read_moods(words), read(wished))


def read(text: Text) -> Wishes:
    """Read English and Korean phrases, directors, titles, decades and minutes from a text."""
    phrases: list[Phrase] = []
    unwanted: dict[str, float] = {}
    for phrase, first, last in _phrases(text.words):
        if not is_negated(text.words, first, last):
            phrases.append(phrase)
            continue
        for trait, weight in phrase.traits.items():
            unwanted[trait] = min(_UNWANTED * weight, unwanted.get(trait, 0))
    folded = flat(text.written).casefold()
    wanted = [phrase.traits for phrase in phrases]
    wanted += ({f"decade:{year}": _DECADE} for year in _decades(folded))
    if re.search("[가-힣]", folded):
        wanted.append({"language:ko": _HANGUL})
    intents = [phrase.intent for phrase in phrases if phrase.intent]
    return Wishes(
        wanted,
        unwanted,
        intent=intents[-1] if intents else "auto",
        max_minutes=min(_minutes(folded), default=None),
        family=youngest(*(phrase.family for phrase in phrases)),
        titles=tuple(dict.fromkeys(_titles(text.written))),
    )


@cache
def table() -> Mapping[str, Phrase]:
    """Return what each phrase asks for; ``!`` marks one that counts only if negated."""
    found: dict[str, Phrase] = {}
    for row in data.table("words.csv"):
        traits: dict[str, float] = {}
        limits: dict[str, Any] = {}
        for part in filter(None, row["traits"].split(";")):
            trait, _, weight = part.partition(" ")
            if weight:
                traits[trait] = float(weight)
            else:
                limit, _, value = trait.partition(":")
                limits[limit] = value
        for words in row["words"].split(";"):
            found["!" * words.startswith("!") + fold(words)] = Phrase(traits, **limits)
    return found


@cache
def lexicon() -> Mapping[str, Phrase]:
    """Return what each phrase asks for: those of the table, the films' traits, and directors."""
    found = {
        fold(value): Phrase({f"{kind[:-1]}:{slug(value)}": weight})
        for film in shipped.films()
        for kind, weight in _PLAIN.items()
        for value in getattr(film, kind)
    }
    return {**found, **table()}


@cache
def _last_names() -> Mapping[str, Phrase]:
    names: dict[str, dict[str, float]] = defaultdict(dict)
    for film in shipped.films():
        for name in film.directors:
            names[fold(name).split()[-1]][f"director:{slug(name)}"] = _PLAIN["directors"]
    return {name: Phrase(traits) for name, traits in names.items()}


def _phrases(words: Sequence[Word]) -> Iterator[tuple[Phrase, int, int]]:
    """Yield each known phrase, the longest first, with its first and last word."""
    place = 0
    while place < len(words):
        first = words[place]
        length, phrase = _longest(words, place)
        if phrase is None and first.text[0].isupper() and len(first.folded) >= _SHORTEST_NAME:
            length, phrase = 1, _last_names().get(first.folded)
        if phrase and any(phrase):
            yield phrase, place, place + length - 1
        place += max(length, 1)


def _longest(words: Sequence[Word], place: int) -> tuple[int, Phrase | None]:
    """Return how many words the longest known phrase takes here (0: none), and the phrase."""
    known = lexicon()
    for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
        phrase = words[place : place + length]
        if phrase[-1].clause != phrase[0].clause:
            continue
        for stem in _stems(" ".join(word.folded for word in phrase)):
            if f"!{stem}" in known and is_negated(words, place, place + length - 1):
                return length, known[f"!{stem}"]
            if stem in known:
                return length, known[stem]
    return 0, None


def _stems(phrase: str) -> Iterator[str]:
    yield phrase
    if phrase.isascii():
        yield phrase.removesuffix("s")
        return
    # Korean endings follow the stem; a stem of one syllable takes none but particles.
    for cut in range(min(len(phrase), _LONGEST_STEM) - 1, phrase.rfind(" ") + 1, -1):
        if cut > 1 or phrase[cut:] in _PARTICLES:
            yield phrase[:cut]


def _minutes(folded: str) -> Iterator[int]:
    for found in _LENGTH.finditer(folded):
        count = _COUNTS.get(found["count"]) or int(found["count"])
        minutes = 60 * count + 30 * bool(found["half"]) if found["hours"] else count
        if minutes in _MINUTES:
            yield minutes


def _decades(folded: str) -> Iterator[int]:
    for century, tens, word in _DECADES.findall(folded):
        year = 1930 + 10 * _TENS.index(word) if word else 2000 + int(tens)
        yield year - (100 if century or year >= _FUTURE else 0)


def _titles(text: str) -> Iterator[str]:
    """Yield the titles of shipped films that are in a text."""
    words = [found.span() for found in re.finditer(r"[^\s,;:!?\n]+", text)]
    place = 0
    while place < len(words):
        start = words[place][0]
        cued = bool(_LIKE.search(text[max(0, start - 20) : start]))
        length = 1
        # Without "like" before it one capital word is no title yet.
        for last in range(min(place + _LONGEST_TITLE, len(words)), place + (not cued), -1):
            name = text[start : words[last - 1][1]].rstrip(".")
            if text[start].isupper() and text[words[last - 1][0]].isupper() and shipped.find(name):
                yield name
                length = last - place
                break
        place += length
    for before in _KOREAN_LIKE.split(text)[:-1]:
        parts = _STOP.split(before[-titles.MAX_TITLE :])[-1].split()[-_LONGEST_TITLE:]
        longest = (" ".join(parts[first:]) for first in range(len(parts)))
        yield from itertools.islice(filter(shipped.find, longest), 1)
