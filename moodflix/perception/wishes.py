"""Understands a person's words: their mood, and wishes for films by ``data/words.csv``."""

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

# Weight of a trait that is named by its own word, unless the table has another.
_TRAIT_WEIGHTS: Final = {"themes": 2.5, "genres": 3.5, "directors": 8.0}
_DECADE_WEIGHT: Final = 8.0
# Weight of Korean films where the words are Korean.
_KOREAN_WEIGHT: Final = 0.7
# What an unwanted trait costs, as a multiple of its weight.
_UNWANTED: Final = -1.5
# A theme of less weight is only suggested by a phrase, not named.
_MIN_NAMED: Final = 2.4
_PARTICLES: Final = frozenset(
    ("", *"이 가 을 를 은 는 의 에 도 과 와 로 랑 나 만 이나 으로 에서 이랑 하고".split())
)
_LENGTH: Final = re.compile(
    r"(?<!half )(?<!over )(?<!more than )(?<!longer than )(?<!least )(?<!\d[.,])\b(?:"
    # 1h30, 1.5 hours, an hour and a half, two hours and 10 minutes
    r"(?P<hours>\d{1,2}(?:[.,]\d{1,2})?|an?|one|two|three)[ -]?(?:hours?|hrs?|h|시간)"
    r"(?P<half>(?: and)? a half| ?반)?"
    r"(?:(?:,| and)? ?(?P<rest>[0-5]?\d)(?: ?(?:minutes?|mins?|m|분)|(?<=h\d\d)))?"
    r"|(?P<minutes>\d{1,3})[ -]?(?:minutes?|mins?|분))(?![a-z\d])"
)
_COUNTS: Final = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_MINUTES: Final = range(60, 241)
_DECADES: Final = re.compile(
    r"\b(?:(?:(19)|20)?([0-9]0)\s?(?:'?s\b|년대)|((?:thir|for|fif|six|seven|eigh|nine)ties))"
)
_TENS: Final = "thirties forties fifties sixties seventies eighties nineties".split()
# From this year on two digits mean the last century: "30s" are the 1930s.
_FUTURE: Final = 2030
# What comes before a title, and in Korean after it.
_CUE: Final = re.compile(r"\b(?:like|to|as|of|and|or|enjoyed|loved)\s+$", re.IGNORECASE)
_KOREAN_CUE: Final = re.compile("같은|처럼|비슷한|느낌")
_STOP: Final = re.compile(r"[.,;:!?\n]")
# In words.
_LONGEST_PHRASE, _LONGEST_TITLE = 4, 8
# In letters; a director's last name alone is known from five.
_LONGEST_STEM, _SHORTEST_NAME = 20, 5


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
        named = {trait for trait, wish in best.items() if wish[trait] >= _MIN_NAMED}
        kept = named - self.unwanted.keys()
        return {trait.removeprefix("theme:") for trait in kept if trait.startswith("theme:")}


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
    """Read mood and wishes from a text, and wishes from a mood label in the person's own words.

    A label such as "heartbroken" is more precise than the mood it stands for.
    """
    words = split(text)
    has_own_words = label and label not in vocabulary.MOODS
    with_label = split(f"{label}\n{text}") if has_own_words else words
    return Understanding(text, read_moods(words), read(with_label))


def read(text: Text) -> Wishes:
    """Read English and Korean phrases, directors, titles, decades and minutes from a text."""
    phrases: list[Phrase] = []
    unwanted: dict[str, float] = {}
    for phrase, first, last in _find_phrases(text.words):
        if not is_negated(text.words, first, last):
            phrases.append(phrase)
            continue
        for trait, weight in phrase.traits.items():
            unwanted[trait] = min(_UNWANTED * weight, unwanted.get(trait, 0))
    folded = flat(text.written).casefold()
    wanted = [phrase.traits for phrase in phrases]
    wanted += ({f"decade:{year}": _DECADE_WEIGHT} for year in _find_decades(folded))
    if re.search("[가-힣]", folded):
        wanted.append({"language:ko": _KOREAN_WEIGHT})
    intents = [phrase.intent for phrase in phrases if phrase.intent]
    return Wishes(
        wanted,
        unwanted,
        intent=intents[-1] if intents else "auto",
        max_minutes=min(_find_minutes(folded), default=None),
        family=youngest(*(phrase.family for phrase in phrases)),
        titles=tuple(dict.fromkeys(_find_titles(text.written))),
    )


@cache
def phrase_table() -> Mapping[str, Phrase]:
    """Return what each phrase of the table asks for; ``!``: it counts only if negated."""
    phrases: dict[str, Phrase] = {}
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
            phrases["!" * words.startswith("!") + fold(words)] = Phrase(traits, **limits)
    return phrases


@cache
def known_phrases() -> Mapping[str, Phrase]:
    """Return the phrases of the table, and the names of the films' themes, genres and directors."""
    names = {
        fold(value): Phrase({f"{kind[:-1]}:{slug(value)}": weight})
        for film in shipped.films()
        for kind, weight in _TRAIT_WEIGHTS.items()
        for value in getattr(film, kind)
    }
    return {**names, **phrase_table()}


@cache
def _last_names() -> Mapping[str, Phrase]:
    names: dict[str, dict[str, float]] = defaultdict(dict)
    for film in shipped.films():
        for name in film.directors:
            names[fold(name).split()[-1]][f"director:{slug(name)}"] = _TRAIT_WEIGHTS["directors"]
    return {name: Phrase(traits) for name, traits in names.items()}


def _find_phrases(words: Sequence[Word]) -> Iterator[tuple[Phrase, int, int]]:
    """Yield each known phrase, the longest at each word, with the indexes of its ends."""
    start = 0
    while start < len(words):
        first = words[start]
        length, phrase = _longest_phrase(words, start)
        if phrase is None and first.text[0].isupper() and len(first.folded) >= _SHORTEST_NAME:
            length, phrase = 1, _last_names().get(first.folded)
        if phrase and any(phrase):
            yield phrase, start, start + length - 1
        start += max(length, 1)


def _longest_phrase(words: Sequence[Word], start: int) -> tuple[int, Phrase | None]:
    """Return the longest known phrase that begins at a word, with its number of words."""
    known = known_phrases()
    for length in range(min(_LONGEST_PHRASE, len(words) - start), 0, -1):
        phrase = words[start : start + length]
        if phrase[-1].clause != phrase[0].clause:
            continue
        for stem in _stems(" ".join(word.folded for word in phrase)):
            if f"!{stem}" in known and is_negated(words, start, start + length - 1):
                return length, known[f"!{stem}"]
            if stem in known:
                return length, known[stem]
    return 0, None


def _stems(phrase: str) -> Iterator[str]:
    """Yield a phrase as it is, without an English plural, and without Korean endings."""
    yield phrase
    if phrase.isascii():
        yield phrase.removesuffix("s")
        return
    # Korean endings follow the stem; a stem of one syllable takes none but particles.
    for cut in range(min(len(phrase), _LONGEST_STEM) - 1, phrase.rfind(" ") + 1, -1):
        if cut > 1 or phrase[cut:] in _PARTICLES:
            yield phrase[:cut]


def _find_minutes(folded: str) -> Iterator[int]:
    for match in _LENGTH.finditer(folded):
        hours = match["hours"] or "0"
        count = _COUNTS.get(hours) or float(hours.replace(",", "."))
        minutes = int(match["rest"] or match["minutes"] or 30 * bool(match["half"]))
        total = round(60 * count) + minutes
        if total in _MINUTES:
            yield total


def _find_decades(folded: str) -> Iterator[int]:
    for century, tens, word in _DECADES.findall(folded):
        year = 1930 + 10 * _TENS.index(word) if word else 2000 + int(tens)
        yield year - (100 if century or year >= _FUTURE else 0)


def _find_titles(text: str) -> Iterator[str]:
    """Yield the titles of shipped films that are in a text."""
    spans = [match.span() for match in re.finditer(r"[^\s,;:!?\n]+", text)]
    first = 0
    while first < len(spans):
        start = spans[first][0]
        has_cue = bool(_CUE.search(text[max(0, start - 20) : start]))
        length = 1
        # Without a cue one capitalized word alone is not taken for a title.
        for end in range(min(first + _LONGEST_TITLE, len(spans)), first + (not has_cue), -1):
            last_start, last_end = spans[end - 1]
            title = text[start:last_end].rstrip(".")
            if text[start].isupper() and text[last_start].isupper() and shipped.find(title):
                yield title
                length = end - first
                break
        first += length
    for before in _KOREAN_CUE.split(text)[:-1]:
        words = _STOP.split(before[-titles.MAX_TITLE :])[-1].split()[-_LONGEST_TITLE:]
        longest_first = (" ".join(words[index:]) for index in range(len(words)))
        yield from itertools.islice(filter(shipped.find, longest_first), 1)
