"""What a person's own words wish for: reads them by the table in ``data/words.csv``."""

from __future__ import annotations

import csv
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from moodflix.films import shipped, titles
from moodflix.films.shipped import FAMILIES
from moodflix.recommend.catalogue.traits import flat, fold, slug
from moodflix.recommend.query import Query

Traits = Mapping[str, float]

# What a trait is worth that is typed as it is; the table overrides it.
_PLAIN: Final = {"themes": 2.5, "genres": 3.5, "directors": 8.0}
_DECADE, _HANGUL, _UNWANTED, _NAMED = 8.0, 0.7, -1.5, 2.4
_CLAUSE: Final = re.compile(
    r"[.,;:!?\n]|\b(?:but|just|only|though|rather|instead)\b", re.IGNORECASE
)
# "nothing violent, sad or scary": a list goes on after a comma.
_CARRIED: Final = re.compile(r"\s*(?:n?or\b|\w+ or\b)", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W_]+")
_NOT: Final = frozenset(
    "no not nothing never without avoid hate less skip except dont doesnt isnt arent".split()
)
_KOREAN_NOT: Final = ("말고", "싫", "빼고", "제외", "않", "아닌", "없")
# "don't want anything too scary": how many words a negation reaches, inside its clause.
_REACH, _KOREAN_REACH = 4, 2
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
# "30s" is no decade of ours.
_NEXT: Final = 2030
_LIKE: Final = re.compile(r"\b(?:like|to|as|of|and|or|enjoyed|loved)\s+$", re.IGNORECASE)
_KOREAN_LIKE: Final = re.compile("같은|처럼|비슷한|느낌")
_SAID: Final = re.compile(r"[.,;:!?\n]")
_LONGEST_PHRASE, _LONGEST_STEM, _LONGEST_TITLE, _SHORTEST_NAME = 4, 20, 8, 5


@dataclass
class Wishes:
    """What was read.

    Attributes:
        wanted: for each wish the traits that meet it, with weights.
        unwanted: traits and what they cost (negative).
        limits: ``intent``, ``family`` and ``minutes``, those that were said.
        liked: titles of bundled films that were named.
    """

    wanted: list[Traits] = field(default_factory=list)
    unwanted: dict[str, float] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    liked: list[str] = field(default_factory=list)

    def asks_for(self, trait: str) -> bool:
        """Whether a wish names a trait, or one whose name begins so."""
        return any(
            name.startswith(trait) and weight > 0
            for wish in self.wanted
            for name, weight in wish.items()
        )

    def themes(self) -> set[str]:
        """Return the themes that were named, not merely hinted at."""
        best = {max(wish, key=lambda trait: wish[trait]): wish for wish in self.wanted if wish}
        named = {trait for trait, wish in best.items() if wish[trait] >= _NAMED}
        return {trait[6:] for trait in named - self.unwanted.keys() if trait.startswith("theme:")}


def bound(query: Query, said: Wishes) -> Query:
    """Return the query with the limits that were said; of two limits both hold."""
    limits = said.limits
    minutes = [m for m in (query.max_minutes, limits.get("minutes")) if m is not None]
    families = [f for f in (query.family, limits.get("family")) if f is not None]
    return replace(
        query,
        # A direction that was set is more than one that was read out of words.
        intent=limits.get("intent", "auto") if query.intent == "auto" else query.intent,
        max_minutes=min(minutes, default=None),
        family=min(families, key=FAMILIES.index, default=None),
    )


def read(text: str) -> Wishes:
    """Read English and Korean words, directors, titles, decades and minutes out of a text."""
    wishes = Wishes()
    negated = False
    for clause in _CLAUSE.split(flat(text)):
        negated = _read_clause(clause, wishes, negated=negated and bool(_CARRIED.match(clause)))
    folded = flat(text).casefold()
    for found in _LENGTH.finditer(folded):
        count = _COUNTS.get(found["count"]) or int(found["count"])
        minutes = 60 * count + 30 * bool(found["half"]) if found["hours"] else count
        if minutes in _MINUTES:
            wishes.limits["minutes"] = min(minutes, wishes.limits.get("minutes", minutes))
    for old, tens, word in _DECADES.findall(folded):
        year = 1930 + 10 * _TENS.index(word) if word else 2000 + int(tens)
        year -= 100 if old or year >= _NEXT else 0
        wishes.wanted.append({f"decade:{year}": _DECADE})
    if re.search("[가-힣]", text):
        wishes.wanted.append({"language:ko": _HANGUL})
    wishes.liked = list(dict.fromkeys(_named(text)))
    return wishes


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Return the traits under each phrase of the table; ``!`` marks what counts negated only."""
    text = (resources.files("moodflix.data") / "words.csv").read_text(encoding="utf-8")
    found: dict[str, Mapping[str, Any]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        traits: dict[str, Any] = {}
        for part in filter(None, row["traits"].split(";")):
            trait, _, weight = part.partition(" ")
            limit, _, value = trait.partition(":")
            traits |= {trait: float(weight)} if weight else {limit: value}
        for phrase in row["words"].split(";"):
            found["!" * phrase.startswith("!") + fold(phrase)] = traits
    return found


@cache
def lexicon() -> Mapping[str, Mapping[str, Any]]:
    """Return the traits under each phrase: those of the table, of the films, and directors."""
    found: dict[str, Mapping[str, Any]] = {}
    for film in shipped.films():
        for kind, weight in _PLAIN.items():
            for value in getattr(film, kind):
                found[fold(value)] = {f"{kind[:-1]}:{slug(value)}": weight}
    return {**found, **table()}


@cache
def _last_names() -> Mapping[str, Traits]:
    names: dict[str, dict[str, float]] = defaultdict(dict)
    for film in shipped.films():
        for name in film.directors:
            names[fold(name).split()[-1]][f"director:{slug(name)}"] = _PLAIN["directors"]
    return names


def _read_clause(clause: str, wishes: Wishes, *, negated: bool) -> bool:
    """Add what a clause wishes for; return whether it holds a negation."""
    spoken = _WORD.findall(clause)
    words = [word.casefold() for word in spoken]
    place = 0
    while place < len(words):
        unwanted = negated or _is_negated(words, place)
        taken, traits = _longest(words, place, unwanted=unwanted)
        if taken == 0 and spoken[place][0].isupper() and len(words[place]) >= _SHORTEST_NAME:
            traits = _last_names().get(words[place], {})
        _add(wishes, traits, unwanted=unwanted)
        place += taken or 1
    return negated or not _NOT.isdisjoint(words)


def _add(wishes: Wishes, traits: Mapping[str, Any], *, unwanted: bool) -> None:
    weights = {trait: weight for trait, weight in traits.items() if not isinstance(weight, str)}
    if unwanted:
        for trait, weight in weights.items():
            wishes.unwanted[trait] = min(_UNWANTED * weight, wishes.unwanted.get(trait, 0))
    elif traits:
        wishes.wanted.append(weights)
        said = {limit: value for limit, value in traits.items() if isinstance(value, str)}
        # The youngest decides.
        if "family" in said and "family" in wishes.limits:
            said["family"] = min(said["family"], wishes.limits["family"], key=FAMILIES.index)
        wishes.limits |= said


def _is_negated(words: Sequence[str], place: int) -> bool:
    return (
        not _NOT.isdisjoint(words[max(0, place - _REACH) : place])
        or words[max(0, place - 1)] in ("안", "못")
        or any(
            word.startswith(_KOREAN_NOT) for word in words[place + 1 : place + 1 + _KOREAN_REACH]
        )
    )


def _longest(words: Sequence[str], place: int, *, unwanted: bool) -> tuple[int, Mapping[str, Any]]:
    """Return how many words the longest known phrase takes here (0: none), and its traits."""
    known = lexicon()
    for length in range(min(_LONGEST_PHRASE, len(words) - place), 0, -1):
        for stem in _stems(" ".join(words[place : place + length])):
            for entry in (f"!{stem}", stem) if unwanted else (stem,):
                if entry in known:
                    return length, known[entry]
    return 0, {}


def _stems(phrase: str) -> Iterator[str]:
    yield phrase
    if phrase.isascii():
        yield phrase.removesuffix("s")
        return
    # Korean endings follow the stem; a stem of one syllable takes none but particles.
    for cut in range(min(len(phrase), _LONGEST_STEM) - 1, phrase.rfind(" ") + 1, -1):
        if cut > 1 or phrase[cut:] in _PARTICLES:
            yield phrase[:cut]


def _named(text: str) -> Iterator[str]:
    """Yield the titles of bundled films that stand in a text."""
    words = [found.span() for found in re.finditer(r"[^\s,;:!?\n]+", text)]
    place = 0
    while place < len(words):
        start = words[place][0]
        cued = bool(_LIKE.search(text[max(0, start - 20) : start]))
        taken = 1
        # Without "like" before it one capital word is no title yet.
        for last in range(min(place + _LONGEST_TITLE, len(words)), place + (not cued), -1):
            said = text[start : words[last - 1][1]].rstrip(".")
            if text[start].isupper() and text[words[last - 1][0]].isupper() and shipped.find(said):
                yield said
                taken = last - place
                break
        place += taken
    for said in _KOREAN_LIKE.split(text)[:-1]:
        parts = _SAID.split(said[-titles.MAX_TITLE :])[-1].split()[-_LONGEST_TITLE:]
        longest = (" ".join(parts[first:]) for first in range(len(parts)))
        yield from itertools.islice(filter(shipped.find, longest), 1)
