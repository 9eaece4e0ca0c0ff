"""Splits what a person wrote into words: which clause each is in, and which are negated.

Moods and wishes are both read from these words, so negation and contrast mean the same to both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

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


@dataclass
class Word:
    """One word of a text.

    Attributes:
        text: as it was written, without accents.
        folded: in lower case and without apostrophes, as tables have it.
        start: where it begins in the text.
        clause: number of its clause; a stop or a contrast ("but") begins another.
        contrasts: how many contrasts came before it.
        title: number of the film title that it is a part of, 0 outside titles.
        negated_before, negated_after: whether the words before it, or those after it, negate it.
    """

    text: str
    folded: str
    start: int
    clause: int = 0
    contrasts: int = 0
    title: int = 0
    negated_before: bool = False
    negated_after: bool = False


class Term(NamedTuple):
    """An entry of the lexicon where it was found: its spelling there, first and last word."""

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
    terms = list(_terms(plain, words))
    _negate(words, terms)
    # A term of signs may come after the last word.
    in_title = [bool(word.title) for word in words] + [False]
    return Text(text, words, [term for term in terms if not in_title[term.first]])


def is_negated(words: Sequence[Word], first: int, last: int) -> bool:
    """Whether something outside the words from ``first`` to ``last`` negates them."""
    return words[first].negated_before or words[last].negated_after


def _terms(text: str, words: Sequence[Word]) -> Iterator[Term]:
    """Yield the terms of the lexicon; number clauses, contrasts and titles of the words."""
    titles = [found.span() for found in _TITLE.finditer(text)]
    clause = contrasts = title = 0
    done = 0
    for match in _pattern().finditer(text.lower()):
        start, end = match.span()
        entry = vocabulary.lexicon()[int(match.lastgroup[1:])] if match.lastgroup else None
        first = done
        while done < len(words) and words[done].start < end:
            word = words[done]
            while title < len(titles) and titles[title][1] <= word.start:
                title += 1
            if title < len(titles) and titles[title][0] <= word.start:
                word.title = title + 1
            word.clause, word.contrasts = clause, contrasts
            done += 1
        if entry:
            yield Term(entry, match[0], first, max(first, done - 1), clause, contrasts)
            if entry.language == "sign":
                # ":)" ends a sentence, 😢 may be in the middle of one.
                clause += text[start] in ":;"
            elif entry.mood in ("but", "clause"):
                # By two, as no list goes on after these.
                clause += 2
                contrasts += entry.mood == "but"
        elif not text[start].isalnum():
            clause += 1


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
    last: int | None = None
    carried = False
    for place, word in enumerate(words):
        before = words[place - 1] if place else None
        if before and word.clause != before.clause:
            follows = {each.folded for each in words[place : place + 2]}
            after_stop = word.clause == before.clause + 1
            carried = (carried or last is not None) and after_stop and not follows.isdisjoint(_OR)
            last = None
        if last is not None and words[last].title not in (0, word.title):
            last = None
        reached = last is not None and place - last <= _REACH
        korean = before is not None and before.folded in _KOREAN_BEFORE
        word.negated_before = carried or reached or korean or place in idioms
        word.negated_after = _negated_after(words, place)
        if place in negations:
            last = place


def _negated_after(words: Sequence[Word], place: int) -> bool:
    """Whether a Korean word is negated by its own ending or by the words behind it."""
    word = words[place].folded
    after = [each.folded for each in words[place + 1 : place + 1 + _KOREAN_REACH]]
    return (
        any(each.startswith(_KOREAN_AFTER) for each in after)
        or bool(after and after[0].startswith("못") and _KOREAN_JI.search(word))
        or bool(_KOREAN_WITHIN.search(word))
    )


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
