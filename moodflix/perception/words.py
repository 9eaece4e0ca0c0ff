"""Reads what a person wrote: its words, which of them are negated, and the moods it names.

Moods and wishes are both read from these words, so negation and contrast mean the same to both.
``data/lexicon.csv`` has the words for moods.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from moodflix import vocabulary
from moodflix.vocabulary import Entry

# A film's name is no mood of the person: "Happy Feet", 'anything like "Angry Birds"'.
_TITLE: Final = re.compile(
    r"\"[^\"\n]*\"|[“「『《][^“「『《”」』》\n]*[”」』》]"
    r"|\b[A-Z][a-z]+(?:,?(?: (?:a|and|at|from|in|of|the|to))* [A-Z][a-z]+)+"
)
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_FOLDED_WORD: Final = re.compile(r"[^\W_]+")
_STOP: Final = r"[.,;:!?\u2026\n]"
# Of a word; ㅠㅠ and ㅋㅋ, which follow without a space, are signs.
_LETTER: Final = r"[^\Wㄱ-ㆎ]"
_ACCENT: Final = re.compile("[\u0300-\u036f]")
_DROPPED: Final = re.compile("['\u2019\u0300-\u036f]")
# "don't want anything too scary": how many words a negation reaches, inside its clause.
_REACH: Final = 4
_NO: Final = ("no", "not", "nothing", "never")
_DISLIKES: Final = ("hate", "hates", "hated", "loathe", "can't stand", "cannot stand", "despise")
# "nothing violent, sad or scary": a list goes on after a comma.
_OR: Final = {"or", "nor"}
_KOREAN_BEFORE: Final = ("안", "못")
# 무서운 거 말고: these negate the two words before them, 못 only what ends in 지.
_KOREAN_AFTER: Final = ("말고", "싫", "빼", "제외", "않", "아닌", "아니", "없")
_KOREAN_REACH: Final = 2
_KOREAN_JI: Final = re.compile(r"지[는도가]?$")
_KOREAN_WITHIN: Final = re.compile(r"지[는도가]?[않못]")
# How many words a wish, a film and "I feel" reach; none reaches past the end of its clause.
_REACHES: Final = {"wish": 4, "film": 4, "self": 3}
# How many words there may be between a feeling and the film it describes.
_NEAR: Final = 2
# 슬픈 영화 is a sad film, 슬퍼서 영화 is not: a noun follows these final consonants (ㄴ, ㄹ).
_BEFORE_NOUN: Final = (4, 8)
# Below this a stem counts only after "I feel", and then for this much more.
_WEAK, _AFTER_SELF = 0.5, 0.4
# "not happy" is a weaker "sad".
_NEGATED: Final = 0.8
# Factors for each contrast and for each mood word after it: of two equal moods the later wins.
_BEFORE_BUT, _EARLIER = 0.5, 0.99
# What is left of doubt after one plain word.
_DOUBT: Final = 0.4


@dataclass
class Word:
    """One word of a text.

    Attributes:
        text: as it was written, without accents.
        folded: in lower case and without apostrophes, as tables have it.
        start: where it begins in the text.
        clause: number of its clause; a stop or a contrast ("but") begins another.
        title: number of the film title that it is a part of, 0 outside titles.
        negated_before, negated_after: whether the words before it, or those after it, negate it.
    """

    text: str
    folded: str
    start: int
    clause: int = 0
    title: int = 0
    negated_before: bool = False
    negated_after: bool = False


class Term(NamedTuple):
    """An entry of the lexicon where it was found.

    Attributes:
        spelling: how it is spelled there.
        first, last: numbers of its first and last word.
        clause: number of its clause.
        contrasts: how many contrasts came before it.
    """

    entry: Entry
    spelling: str
    first: int
    last: int
    clause: int
    contrasts: int


class Text(NamedTuple):
    """A text as it was written, its words, and the lexicon's terms outside film titles."""

    written: str
    words: Sequence[Word]
    terms: Sequence[Term]


@dataclass(frozen=True)
class Reading:
    """Scores of one signal (hand, words, face or voice).

    Attributes:
        scores: label -> score, 0 to 1; of moods for words and face, of tones for voice.
        confidence: how reliable the signal is, 0 (not at all) to 1.
        missing: why there is nothing to read (``no_face``, ``too_short``, ...), else empty.
        details: further JSON-able facts for the answer; never stored.
        label: the label with the highest score.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    missing: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = field(init=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Find the label with the highest score, ``None`` without any."""
        best = max(self.scores, key=lambda name: self.scores[name], default=None)
        object.__setattr__(self, "label", best)


def flat(text: str) -> str:
    """Return a text without accents and apostrophes."""
    return unicodedata.normalize("NFC", _DROPPED.sub("", unicodedata.normalize("NFKD", text)))


def fold(text: str) -> str:
    """Return the words of a text in lower case, one space between them."""
    return " ".join(_FOLDED_WORD.findall(flat(text).casefold()))


def slug(text: str) -> str:
    """Return a name as traits spell it: ``bong-joon-ho``."""
    return fold(text).replace(" ", "-")


def split(text: str) -> Text:
    """Split a text into words and find clauses, contrasts, titles and negations."""
    # Not NFKD, which would turn ㅠㅠ into other letters.
    plain = _ACCENT.sub("", unicodedata.normalize("NFD", text.replace("\u2019", "'")))
    plain = unicodedata.normalize("NFC", plain)
    words = [Word(m[0], flat(m[0]).casefold(), m.start()) for m in _WORD.finditer(plain)]
    starts = [word.start for word in words]
    for number, title in enumerate(_TITLE.finditer(plain), start=1):
        for word in words[bisect_left(starts, title.start()) : bisect_left(starts, title.end())]:
            word.title = number
    terms = list(_terms(plain, words))
    _negate(words, terms)
    # A term of signs may come after the last word.
    in_title = [bool(word.title) for word in words] + [False]
    return Text(text, words, [term for term in terms if not in_title[term.first]])


def is_negated(words: Sequence[Word], first: int, last: int) -> bool:
    """Whether something outside the words from ``first`` to ``last`` negates them."""
    return words[first].negated_before or words[last].negated_after


def read_moods(text: Text) -> Reading:
    """Score the moods named in a text; scores sum to 1 and are empty when none is named.

    One plain word has confidence 0.6; several that agree have more, those that differ less.
    """
    feelings: list[_Feeling] = []
    # The last word that is reached by a wish, a film or "I feel" of this clause.
    reached: dict[str, int] = {}
    clause = 0
    degree = 1.0
    for term in text.terms:
        if term.clause != clause:
            clause, reached = term.clause, {}
        kind = term.entry.mood
        within = {each for each, last in reached.items() if term.first <= last}
        if kind in vocabulary.MOODS and within.isdisjoint(("wish", "film")):
            feelings += _feeling(text, term, degree, after_self="self" in within)
        elif kind == "self":
            reached = {}
        elif kind == "film":
            feelings = [each for each in feelings if not each.describes(term)]
        degree = term.entry.weight if kind == "degree" else 1.0
        if kind in _REACHES:
            reached[kind] = term.last + _REACHES[kind]
    return _scored(feelings)


@lru_cache(maxsize=1_000)
def named_mood(label: str) -> str | None:
    """Return the mood that a label names, be it a sentence; ``None`` when it names none."""
    if mood := vocabulary.mood(label):
        return mood
    found = read_moods(split(label)).label
    return None if found == vocabulary.NEUTRAL else found


def _terms(text: str, words: Sequence[Word]) -> Iterator[Term]:
    """Yield the terms of the lexicon, and number the clauses of the words."""
    place = clause = contrasts = 0
    for match in _pattern().finditer(text.lower()):
        first = place
        while place < len(words) and words[place].start < match.end():
            words[place].clause = clause
            place += 1
        if not match.lastgroup:
            # A word, or a stop.
            clause += not match[0][0].isalnum()
            continue
        entry = vocabulary.lexicon()[int(match.lastgroup[1:])]
        yield Term(entry, match[0], first, max(first, place - 1), clause, contrasts)
        if entry.language == "sign":
            # ":)" ends a sentence, 😢 may be in the middle of one.
            clause += match[0][0] in ":;"
        elif entry.mood in ("but", "clause"):
            # By two, as no list goes on after these.
            clause += 2
            contrasts += entry.mood == "but"


def _negate(words: Sequence[Word], terms: Sequence[Term]) -> None:
    """Mark the words that are negated in English or Korean."""
    negations = {
        term.last
        for term in terms
        if term.entry.mood == "not" or term.entry.stem.strip("*") in _DISLIKES
    }
    # "not hungry" is a term of its own, and yet negates "hungry" for the wishes.
    idioms = {
        place
        for term in terms
        if term.entry.mood != "not"
        for place in range(term.first + 1, term.last + 1)
        if words[term.first].folded in _NO
    }
    # Place of the clause's last negation, and whether the clause goes on with a negated list.
    negation: int | None = None
    listed = False
    for place, word in enumerate(words):
        before = words[place - 1] if place else None
        if before and word.clause != before.clause:
            follows = {each.folded for each in words[place : place + 2]}
            goes_on = word.clause == before.clause + 1 and not follows.isdisjoint(_OR)
            listed = goes_on and (listed or negation is not None)
            negation = None
        # A negation in a film's title reaches only the words of that title.
        if negation is not None and words[negation].title not in (0, word.title):
            negation = None
        word.negated_before = (
            listed
            or place in idioms
            or (negation is not None and place - negation <= _REACH)
            or (before is not None and before.folded in _KOREAN_BEFORE)
        )
        word.negated_after = _negated_after(words, place)
        if place in negations:
            negation = place


def _negated_after(words: Sequence[Word], place: int) -> bool:
    """Whether a Korean word is negated by its own ending or by the words behind it."""
    word = words[place].folded
    after = [each.folded for each in words[place + 1 : place + 1 + _KOREAN_REACH]]
    return (
        any(each.startswith(_KOREAN_AFTER) for each in after)
        or bool(after and after[0].startswith("못") and _KOREAN_JI.search(word))
        or bool(_KOREAN_WITHIN.search(word))
    )


class _Feeling(NamedTuple):
    mood: str
    weight: float
    term: Term
    noun_may_follow: bool

    def describes(self, film: Term) -> bool:
        """Whether this is how the film is, not the person: a sad film."""
        near = film.clause == self.term.clause and film.first - self.term.last <= _NEAR
        return near and self.noun_may_follow


def _feeling(text: Text, term: Term, degree: float, *, after_self: bool) -> Iterator[_Feeling]:
    """Yield the feeling that a term names, unless it is too weak or negated to nothing."""
    entry = term.entry
    weak = entry.weight < _WEAK
    if weak and not after_self:
        return
    mood = entry.mood
    weight = degree * (entry.weight + _AFTER_SELF * (weak and entry.weight > 0))
    # Nothing negates a sign: "not again 😡".
    if entry.language != "sign" and is_negated(text.words, term.first, term.last):
        mood, weight = "sad" if mood == "happy" else "", weight * _NEGATED
    if mood and weight:
        final = (ord(term.spelling[-1]) - ord("가")) % 28
        noun = entry.language != "ko" or term.spelling == entry.stem or final in _BEFORE_NOUN
        yield _Feeling(mood, weight, term, noun)


def _scored(feelings: Sequence[_Feeling]) -> Reading:
    scores: dict[str, float] = {}
    for back, each in enumerate(reversed(feelings)):
        contrasts = feelings[-1].term.contrasts - each.term.contrasts
        weight = each.weight * _BEFORE_BUT**contrasts * _EARLIER**back
        scores[each.mood] = scores.get(each.mood, 0) + weight
    total, top = sum(scores.values()), max(scores.values(), default=0)
    shares = {name: score / total for name, score in scores.items()}
    return Reading(shares, top / total * (1 - _DOUBT**top) if total else 0)


@cache
def _pattern() -> re.Pattern[str]:
    """Return a pattern for the next term, stop or word; it has one group for each entry."""
    # Grouped by first letter, so that the engine tries few of them at a position.
    firsts: dict[str, list[str]] = {}
    for number, entry in enumerate(vocabulary.lexicon()):
        first = entry.stem[0].replace("*", "")
        words = map(re.escape, entry.stem.strip("*$")[len(first) :].split(" "))
        gap = r"\s*" if entry.language == "ko" else r"\s+"
        closed = "" if entry.language == "sign" else r"(?!\w)"
        rest = gap.join(words) + (f"{_LETTER}*" if entry.open_ended else closed)
        beginning = "" if first else f"{_LETTER}*?"
        firsts.setdefault(first, []).append(f"(?P<_{number}>{beginning}{rest})")
    stems = "|".join(f"{re.escape(first)}(?:{'|'.join(all_)})" for first, all_ in firsts.items())
    return re.compile(rf"{stems}|{_STOP}|\w(?:['-]|{_LETTER})*")
