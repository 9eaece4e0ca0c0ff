"""Lists of films from elsewhere: MovieLens, IMDb, or a plain CSV with title and year."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeAlias

from moodflix import strict_json
from moodflix.errors import InvalidInputError
from moodflix.films import titles


@dataclass(frozen=True)
class Listed:
    """A film that some list names; ``others`` are further titles it goes by."""

    title: str
    year: int
    others: tuple[str, ...] = ()


# A film, or the reason why a row is skipped.
Row: TypeAlias = Listed | str
_GZIP: Final = b"\x1f\x8b"
# Bytes of the longest line and row; a longer row has a quote that was never closed.
_MAX_ROW: Final = 1 << 16
_FIRST_FILM, _LAST_FILM = 1870, 2100
_IMDB: Final = ("titletype", "primarytitle", "originaltitle", "isadult", "startyear")
_NONE: Final = r"\N"
_BROKEN: Final = "a broken row"
# Further names in MovieLens: Seven (a.k.a. Se7en), and those in other languages.
_OTHER_NAME: Final = re.compile(r"(?P<title>.*\S)\s*\((?P<other>[^()]+)\)", re.DOTALL)
# "Birdman: Or (The Unexpected Virtue of Ignorance)" is all one title.
_CONTINUES: Final = re.compile(r"(?:\b(?:or|and|of|in)|[^\w\s.!?'\")])$", re.IGNORECASE)
# IMDb numbers films of one title and year: "Beneath (II)", "Beneath (2013/II)".
_NUMBER: Final = re.compile(r"(?P<title>.*\S)\s*\((?:\d{4}/)?[IVXL]+\)", re.DOTALL)
_AKA: Final = re.compile(r"^a\.?k\.?a\.?:?\s+", re.IGNORECASE)


def read(source: BinaryIO) -> Iterator[Row]:
    """Yield each film of a list, or the reason why a row is skipped, in bounded memory.

    Raises:
        InvalidInputError: it is no film list that can be read; the text says why.
    """
    try:
        yield from _rows(_Lines(_unpacked(source)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInputError("it is damaged or was cut short") from error


def _rows(lines: _Lines) -> Iterator[Row]:
    header = next(lines, "").removeprefix(codecs.BOM_UTF8.decode()).rstrip("\r\n")
    if "\0" in header or "\r" in header:
        header = ""  # UTF-16 or old Mac line ends, which the csv module can't read
    tabs = "\t" in header
    names = header.split("\t") if tabs else next(csv.reader([header]), [])
    columns = {name.strip().casefold(): place for place, name in enumerate(names)}
    if all(name in columns for name in _IMDB):
        film = _of_imdb(columns)
    elif "title" in columns:
        film = _of_columns(columns["title"], columns.get("year"))
    else:
        raise InvalidInputError(
            "its first line names no column `title`; what can be read is MovieLens movies.csv, "
            "IMDb title.basics.tsv (or .gz) and CSV with title and year"
        )
    # IMDb's files have no quoting.
    for cells in map(_cells, lines) if tabs else _parsed(lines):
        if len(cells) == len(names):
            yield film(cells)
        elif any(cells):
            yield _BROKEN


def _of_columns(title_at: int, year_at: int | None) -> Callable[[Sequence[str]], Row]:
    """Return a reader of rows of MovieLens, with the year in the title, or of a plain CSV."""

    def film(cells: Sequence[str]) -> Row:
        title, year = _without_year(cells[title_at])
        if year_at is not None:
            return _checked(titles.article_first(title), cells[year_at].strip())
        title, *others = _names(title)
        return _checked(title, "" if year is None else str(year), others)

    return film


def _of_imdb(columns: Mapping[str, int]) -> Callable[[Sequence[str]], Row]:
    kind, title, original, adult, year = (columns[name] for name in _IMDB)

    def film(cells: Sequence[str]) -> Row:
        if cells[kind] != "movie":
            return "not a movie"
        if cells[adult] != "0":
            return "for adults only"
        name, other = (_without_year(cells[at])[0] for at in (title, original))
        return _checked(name, cells[year], [other])

    return film


def _without_year(text: str) -> tuple[str, int | None]:
    """Split a title into its name, without IMDb's number, and its year if it has one."""
    title, year = titles.split_year(text)
    numbered = _NUMBER.fullmatch(title)
    return (titles.tidy(numbered["title"]) if numbered else title), year


def _names(title: str) -> list[str]:
    """Split a MovieLens title into its names, the one for display first."""
    others: list[str] = []
    shown = title
    while (found := _OTHER_NAME.fullmatch(shown)) and not _CONTINUES.search(found["title"]):
        shown = found["title"]
        others.append(titles.article_first(_AKA.sub("", found["other"])))
    return [titles.article_first(shown), *others, *([title] if others else [])]


def _checked(title: str, year: str, others: Sequence[str] = ()) -> Row:
    title = titles.tidy(title)
    if title in ("", _NONE):
        return "no title"
    if not _can_be_stored(title):
        return "a title that can't be kept"
    if year in ("", _NONE):
        return "no year"
    year = year.removesuffix(".0")
    if not (year.isdecimal() and len(year) == 4 and _FIRST_FILM <= int(year) <= _LAST_FILM):  # noqa: PLR2004
        return "a year that is none"
    named = [name for other in others if (name := titles.tidy(other)) not in ("", _NONE, title)]
    return Listed(title, int(year), tuple(name for name in named if _can_be_stored(name)))


def _can_be_stored(title: str) -> bool:
    return len(title) <= titles.MAX_TITLE and not strict_json.text_problem(title)


def _cells(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t")


def _parsed(lines: _Lines) -> Iterator[list[str]]:
    """Parse CSV; a quote that is never closed loses one line only, and the rest is read again."""
    while True:
        try:
            # Without strict, an unclosed quote would silently swallow rows.
            cells = next(csv.reader(lines.begin_row(), strict=True))
        except StopIteration:
            return
        except (csv.Error, _TooLongError):
            lines.keep_first()
            cells = [_BROKEN]
        yield cells


class _TooLongError(Exception):
    pass


class _Lines(Iterator[str]):
    """The lines of a file; those of the row being read can be read again."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._again: list[str] = []
        self._row: list[str] = []

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._read()
        if not line:
            raise StopIteration
        return line

    def _read(self) -> str:
        line = self._source.readline(_MAX_ROW)
        if len(line) == _MAX_ROW and not line.endswith(b"\n"):
            while (rest := self._source.readline(_MAX_ROW)) and not rest.endswith(b"\n"):
                pass
            return _BROKEN
        # Bytes that aren't UTF-8 become surrogates, which no title may hold.
        return line.decode(errors="surrogateescape")

    def begin_row(self) -> Iterator[str]:
        """Yield the lines of one more row, as long as it may be."""
        self._row = []
        size = 0
        for line in self:
            self._row.append(line)
            size += len(line)
            if size > _MAX_ROW:
                raise _TooLongError
            yield line

    def keep_first(self) -> None:
        """Put back all lines of the row but the first."""
        self._again.extend(reversed(self._row[1:]))


def _unpacked(source: BinaryIO) -> BinaryIO:
    packed = source.read(len(_GZIP)) == _GZIP
    source.seek(0)
    return gzip.GzipFile(fileobj=source) if packed else source  # type: ignore[return-value]
