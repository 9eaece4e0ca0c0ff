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
# A letter of a word; ㅠㅠ and ㅋㅋ, which follow one without a space, are signs.
_LETTER: Final = r"[^\Wㄱ-ㆎ]"
_ACCENT: Final = re.compile("[\u0300-\u036f]")
_DROPPED: Final = re.compile("['\u2019\u0300-\u036f]")
# "don't want anything too scary": how many words a negation reaches, inside its clause.
_REACH: Final = 4
_ENGLISH_NEGATIONS: Final = ("no", "not", "nothing", "never")
_DISLIKES: Final = ("hate", "hates", "hated", "loathe", "can't stand", "cannot stand", "despise")
# "nothing violent, sad or scary": a list goes on after a comma.
_LIST_WORDS: Final = {"or", "nor"}
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
# A stem of less weight counts only after "I feel", and then this much more.
_WEAK, _AFTER_SELF = 0.5, 0.4
# "not happy" is a weaker "sad".
_NEGATED: Final = 0.8
# A mood counts this much for each contrast ("but") after it, and for each later mood word: of two
# equal moods the later wins.
_BEFORE_BUT, _EARLIER = 0.5, 0.99
# One minus the confidence of one plain word.
_DOUBT: Final = 0.4


@dataclass
class Word:
    """One word of a text.

    Attributes:
        text: as it was written, without accents.
        folded: in lower case and without apostrophes, as in the tables.
        start: offset in the text.
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
        spelling: as it was written.
        first, last: indexes of its first and last word.
        clause: number of its clause.
        contrasts: how many contrasts ("but") came before it.
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
    terms = list(_find_terms(plain, words))
    _mark_negated(words, terms)
    # A sign such as ":)" may come after the last word.
    in_title = [bool(word.title) for word in words] + [False]
    return Text(text, words, [term for term in terms if not in_title[term.first]])


def is_negated(words: Sequence[Word], first: int, last: int) -> bool:
    """Whether the words from ``first`` to ``last`` are negated by others around them."""
    return words[first].negated_before or words[last].negated_after


def read_moods(text: Text) -> Reading:
    """Score the moods named in a text; scores sum to 1 and are empty when none is named.

    One plain word has confidence 0.6; several that agree have more, those that differ less.
    """
    feelings: list[_Feeling] = []
    # Index of the last word that a wish, a film or "I feel" of this clause reaches.
    reach: dict[str, int] = {}
    clause = 0
    degree = 1.0
    for term in text.terms:
        if term.clause != clause:
            clause, reach = term.clause, {}
        kind = term.entry.mood
        within = {marker for marker, last in reach.items() if term.first <= last}
        if kind in vocabulary.MOODS and within.isdisjoint(("wish", "film")):
            feelings += _feeling_of(text, term, degree, after_self="self" in within)
        elif kind == "self":
            reach = {}
        elif kind == "film":
            feelings = [feeling for feeling in feelings if not feeling.describes(term)]
        degree = term.entry.weight if kind == "degree" else 1.0
        if kind in _REACHES:
            reach[kind] = term.last + _REACHES[kind]
    return _scored(feelings)


@lru_cache(maxsize=1_000)
def named_mood(label: str) -> str | None:
    """Return the mood that a label, a word or a sentence, names; ``None`` when it names none."""
    if mood := vocabulary.mood(label):
        return mood
    read = read_moods(split(label)).label
    return None if read == vocabulary.NEUTRAL else read


def _find_terms(text: str, words: Sequence[Word]) -> Iterator[Term]:
    """Yield the terms of the lexicon, and number the clauses of the words."""
    # Index of the next word.
    index = clause = contrasts = 0
    for match in _pattern().finditer(text.lower()):
        first = index
        while index < len(words) and words[index].start < match.end():
            words[index].clause = clause
            index += 1
        if not match.lastgroup:
            # A word that the lexicon doesn't have, or a stop.
            clause += not match[0][0].isalnum()
            continue
        entry = vocabulary.lexicon()[int(match.lastgroup[1:])]
        yield Term(entry, match[0], first, max(first, index - 1), clause, contrasts)
        if entry.language == "sign":
            # ":)" ends a sentence, 😢 may be in the middle of one.
            clause += match[0][0] in ":;"
        elif entry.mood in ("but", "clause"):
            # By two: a list goes on only into the clause with the next number.
            clause += 2
            contrasts += entry.mood == "but"


def _mark_negated(words: Sequence[Word], terms: Sequence[Term]) -> None:
    """Mark the words that are negated in English or Korean."""
    negations = {
        term.last
        for term in terms
        if term.entry.mood == "not" or term.entry.stem.strip("*") in _DISLIKES
    }
    # "not hungry" is a term of its own, and yet negates "hungry" for the wishes.
    in_negated_term = {
        index
        for term in terms
        if term.entry.mood != "not"
        for index in range(term.first + 1, term.last + 1)
        if words[term.first].folded in _ENGLISH_NEGATIONS
    }
    # Index of the last negation in this clause, and whether the clause continues a negated list.
    negation: int | None = None
    continues_list = False
    for index, word in enumerate(words):
        previous = words[index - 1] if index else None
        if previous and word.clause != previous.clause:
            has_list_word = any(near.folded in _LIST_WORDS for near in words[index : index + 2])
            is_next_clause = word.clause == previous.clause + 1
            is_negated_list = continues_list or negation is not None
            continues_list = is_negated_list and is_next_clause and has_list_word
            negation = None
        # A negation in a film's title reaches only the words of that title.
        if negation is not None and words[negation].title not in (0, word.title):
            negation = None
        word.negated_before = (
            continues_list
            or index in in_negated_term
            or (negation is not None and index - negation <= _REACH)
            or (previous is not None and previous.folded in _KOREAN_BEFORE)
        )
        word.negated_after = _negated_after(words, index)
        if index in negations:
            negation = index


def _negated_after(words: Sequence[Word], index: int) -> bool:
    """Whether a Korean word is negated by its own ending or by the words behind it."""
    word = words[index].folded
    after = [later.folded for later in words[index + 1 : index + 1 + _KOREAN_REACH]]
    return (
        any(later.startswith(_KOREAN_AFTER) for later in after)
        or bool(after and after[0].startswith("못") and _KOREAN_JI.search(word))
        or bool(_KOREAN_WITHIN.search(word))
    )


class _Feeling(NamedTuple):
    mood: str
    weight: float
    term: Term
    noun_may_follow: bool

    def describes(self, film: Term) -> bool:
        """Whether this tells of the film, not of the person: "a sad film"."""
        is_near = film.clause == self.term.clause and film.first - self.term.last <= _NEAR
        return is_near and self.noun_may_follow


def _feeling_of(text: Text, term: Term, degree: float, *, after_self: bool) -> Iterator[_Feeling]:
    """Yield the feeling that a term names, unless it is too weak or a negation leaves none."""
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
        final_consonant = (ord(term.spelling[-1]) - ord("가")) % 28
        noun_may_follow = (
            entry.language != "ko" or term.spelling == entry.stem or final_consonant in _BEFORE_NOUN
        )
        yield _Feeling(mood, weight, term, noun_may_follow)


def _scored(feelings: Sequence[_Feeling]) -> Reading:
    scores: dict[str, float] = {}
    for later, feeling in enumerate(reversed(feelings)):
        contrasts = feelings[-1].term.contrasts - feeling.term.contrasts
        weight = feeling.weight * _BEFORE_BUT**contrasts * _EARLIER**later
        scores[feeling.mood] = scores.get(feeling.mood, 0) + weight
    total, top = sum(scores.values()), max(scores.values(), default=0)
    shares = {name: score / total for name, score in scores.items()}
    return Reading(shares, top / total * (1 - _DOUBT**top) if total else 0)


@cache
def _pattern() -> re.Pattern[str]:
    """Return a pattern for the next term, stop or word; it has one group for each entry."""
    # Grouped by first letter, so that the engine tries few of them at a position.
    by_first_letter: dict[str, list[str]] = {}
    for number, entry in enumerate(vocabulary.lexicon()):
        first = entry.stem[0].replace("*", "")
        words = map(re.escape, entry.stem.strip("*$")[len(first) :].split(" "))
        gap = r"\s*" if entry.language == "ko" else r"\s+"
        word_end = "" if entry.language == "sign" else r"(?!\w)"
        rest = gap.join(words) + (f"{_LETTER}*" if entry.open_ended else word_end)
        beginning = "" if first else f"{_LETTER}*?"
        by_first_letter.setdefault(first, []).append(f"(?P<_{number}>{beginning}{rest})")
    stems = "|".join(
        f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in by_first_letter.items()
    )
    return re.compile(rf"{stems}|{_STOP}|\w(?:['-]|{_LETTER})*")
