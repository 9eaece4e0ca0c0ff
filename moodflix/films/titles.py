"""Titles: how they are shown, the keys of titles and films, and which film a title means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Protocol, TypeVar

# Folding can make a text longer: \ufdfa alone becomes 18 letters.
MAX_KEY = MAX_TITLE = 300

_YEAR = re.compile(r"^(?P<title>.*\S)\s*\(\s*(?P<year>(?:18|19|20)\d\d)\s*\)$", re.DOTALL)
_TRAILING_ARTICLE = re.compile(
    r"^(?P<title>.*\S)\s*,\s*"
    r"(?P<article>the|an?|les?|la|l'|el|l[ao]s|il|lo|gli|der|die|das|den|det|het|een)$",
    re.IGNORECASE | re.DOTALL,
)
# All leading articles, so that `key` is idempotent.
_LEADING_ARTICLES = re.compile(r"^(?:(?:the|an?)\s+)+(?=\S)")
# Apostrophes, variation selectors and combining accents. Marks of kana and Indic scripts are kept:
# they make other letters.
_DROPPED = re.compile("['\u2018\u2019\u201b\u02bc`\u00b4\u2032\ufe00-\ufe0f\u0300-\u036f]")
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb\u300c\u300d\u300e\u300f\u3008\u3009\u300a\u300b"
# "mother!" and "Mother" are two films.
_MARK = "!"
_SPACE = re.compile(r"\s+")
_NO_ASCII_WORD = re.compile(r"[^0-9A-Za-z]+")
# No film is older than the first, and none is announced for after the last.
FIRST_YEAR, LAST_YEAR = 1870, 2100
# A premiere and a release are a year apart at most, and years differ by country.
MAX_YEARS_OFF: Final = 1


class KnownFilm(Protocol):
    """A film that can be identified, shipped or from the database."""

    @property
    def film_key(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def year(self) -> int: ...
    @property
    def renown(self) -> int: ...


F = TypeVar("F", bound=KnownFilm)


def tidy(text: str) -> str:
    """Return a title for display: one space between words, no quotes around the whole."""
    text = _SPACE.sub(" ", text).strip()
    while len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def split_year(text: str) -> tuple[str, int | None]:
    """Split ``"Mother (2009)"`` into ``("Mother", 2009)``; no year in brackets gives ``None``."""
    text = tidy(text)
    match = _YEAR.match(text)
    if match is None:
        return text, None
    return tidy(match["title"]), int(match["year"])


def article_first(title: str) -> str:
    """Return ``"Matrix, The"`` as ``"The Matrix"``; other titles as they are."""
    match = _TRAILING_ARTICLE.match(title)
    if match is None:
        return title
    space = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{space}{match['title']}"


@lru_cache(maxsize=10_000)
def key(text: str) -> str:
    """Return the spelling key of a title, under which it is looked up: films may share one.

    A title made of nothing but punctuation keeps it, so that only a blank text has an empty key.
    """
    folded = _folded(text)
    spelled = _LEADING_ARTICLES.sub("", _words(folded)) or tidy(folded)
    return spelled[:MAX_KEY].rstrip() or _SPACE.sub(" ", text).strip()[:MAX_KEY]


def film_key(title: str, year: int | None = None) -> str:
    """Return the key of one film: its spelling key, and its year where that is known.

    An exclamation mark belongs to it: ``"mother!"`` and ``"Mother"`` are two films.
    """
    name, in_title = split_year(title)
    year = in_title if year is None else year
    mark = _MARK if _MARK in name else ""
    spelled = key(name)[: MAX_KEY - len("! (2000)")].rstrip().removesuffix(mark) + mark
    return spelled if year is None or not spelled else f"{spelled} ({year})"


def with_year(title: str, film_key: str) -> str:
    """Return a title with the year that a film's key has, as in ``"Mother (2009)"``."""
    year = split_year(film_key)[1]
    return title if year is None else f"{split_year(title)[0]} ({year})"


def difference(title: str, spelling: str) -> int | None:
    """Return how far a title differs from a spelling with the same key; ``None``: another film.

    0: in case and apostrophes at most; 1: in punctuation and accents too; 2: in their articles.
    """
    if _exact(title) == _exact(spelling):
        return 0
    if _MARK in title and _MARK not in spelling:
        return None
    return 1 if _words(_folded(title)) == _words(_folded(spelling)) else 2


def meant(names: Iterable[tuple[str, F]], title: str, year: int | None = None) -> list[F]:
    """Return the films that a title may mean, the likeliest first.

    Compared are first the year (an argument, or in the title), which may be off by
    ``MAX_YEARS_OFF``; then how exact the spelling is; then whether it is a film's own title or a
    further name. Films that are equal in all of these are returned, the best-known first, then
    the newest.

    Args:
        names: each name that has the title's spelling key, and its film.
        title: as sent.
        year: the year that is meant, if known from elsewhere.
    """
    if year is None:
        year = split_year(title)[1]
    close = []
    for spelling, film in names:
        unlikeness = difference(title, spelling)
        years = 0 if year is None else abs(film.year - year)
        if unlikeness is not None and years <= MAX_YEARS_OFF:
            close.append(((years, unlikeness, spelling != film.title), film))
    nearest = min((distance for distance, _ in close), default=None)
    best = {film.film_key: film for distance, film in close if distance == nearest}
    return sorted(best.values(), key=lambda film: (-film.renown, -film.year))


def _exact(text: str) -> str:
    """Return what two spellings that differ in case and apostrophes alone have in common."""
    title = unicodedata.normalize("NFC", article_first(split_year(text)[0]))
    return _DROPPED.sub("", title).casefold()


def _folded(text: str) -> str:
    title = article_first(split_year(text)[0])
    # Dropped before, too: NFKD would split a spacing accent into a space and an accent.
    folded = unicodedata.normalize("NFKD", _DROPPED.sub("", title)).casefold()
    return unicodedata.normalize("NFC", _DROPPED.sub("", unicodedata.normalize("NFKD", folded)))


def _words(folded: str) -> str:
    folded = folded.replace("&", " and ")
    if folded.isascii():
        return " ".join(_NO_ASCII_WORD.sub(" ", folded).split())
    kept: list[str] = []
    for char in folded:
        # The vowel signs of Indic scripts are marks, not letters, to Python.
        if char.isalnum() or (
            kept and kept[-1] != " " and unicodedata.category(char) in ("Mn", "Mc")
        ):
            kept.append(char)
        elif kept and kept[-1] != " ":
            kept.append(" ")
    return "".join(kept).strip()
