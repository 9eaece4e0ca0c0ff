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
# Longest line and row in bytes; a longer row has a quote that was never closed.
_MAX_ROW: Final = 1 << 16
_IMDB: Final = ("titletype", "primarytitle", "originaltitle", "isadult", "startyear")
# How IMDb writes that a value is absent.
_ABSENT: Final = r"\N"
_BROKEN: Final = "a broken row"
# Further names in MovieLens: Seven (a.k.a. Se7en), and those in other languages.
_OTHER_NAME: Final = re.compile(r"(?P<title>.*\S)\s*\((?P<other>[^()]+)\)", re.DOTALL)
# "Birdman: Or (The Unexpected Virtue of Ignorance)" is all one title.
_CONTINUES: Final = re.compile(r"(?:\b(?:or|and|of|in)|[^\w\s.!?'\")])$", re.IGNORECASE)
# IMDb numbers films of one title and year: "Beneath (II)", "Beneath (2013/II)".
_IMDB_NUMBER: Final = re.compile(r"(?P<title>.*\S)\s*\((?:\d{4}/)?[IVXL]+\)", re.DOTALL)
_AKA: Final = re.compile(r"^a\.?k\.?a\.?:?\s+", re.IGNORECASE)


def read(source: BinaryIO) -> Iterator[Row]:
    """Yield each film of a list, or the reason why a row is skipped, in bounded memory.

    Raises:
        InvalidInputError: the file can't be read as a film list; the text says why.
    """
    try:
        yield from _rows(_Lines(_decompressed(source)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInputError("it is damaged or was cut short") from error


def _rows(lines: _Lines) -> Iterator[Row]:
    header = next(lines, "").removeprefix(codecs.BOM_UTF8.decode()).rstrip("\r\n")
    if "\0" in header or "\r" in header:
        header = ""  # UTF-16 or old Mac line ends, which the csv module can't read
    tabs = "\t" in header
    names = header.split("\t") if tabs else next(csv.reader([header]), [])
    columns = {name.strip().casefold(): number for number, name in enumerate(names)}
    if all(name in columns for name in _IMDB):
        read_row = _imdb_reader(columns)
    elif "title" in columns:
        read_row = _csv_reader(columns["title"], columns.get("year"))
    else:
        raise InvalidInputError(
            "its first line names no column `title`; what can be read is MovieLens movies.csv, "
            "IMDb title.basics.tsv (or .gz) and CSV with title and year"
        )
    # IMDb's files have no quoting.
    for cells in map(_split_at_tabs, lines) if tabs else _parse_csv(lines):
        if len(cells) == len(names) and cells != [_BROKEN]:
            yield read_row(cells)
        elif any(cells):
            yield _BROKEN


def _csv_reader(title_column: int, year_column: int | None) -> Callable[[Sequence[str]], Row]:
    """Return a function that reads a row of a plain CSV, or of MovieLens: year in the title."""

    def read_row(cells: Sequence[str]) -> Row:
        title, year = _split_year(cells[title_column])
        if year_column is not None:
            return _listed_or_reason(titles.article_first(title), cells[year_column].strip())
        title, *others = _split_names(title)
        return _listed_or_reason(title, "" if year is None else str(year), others)

    return read_row


def _imdb_reader(columns: Mapping[str, int]) -> Callable[[Sequence[str]], Row]:
    kind, title, original, adult, year = (columns[name] for name in _IMDB)

    def read_row(cells: Sequence[str]) -> Row:
        if cells[kind] != "movie":
            return "not a movie"
        if cells[adult] != "0":
            return "for adults only"
        name, other = (_split_year(cells[column])[0] for column in (title, original))
        return _listed_or_reason(name, cells[year], [other])

    return read_row


def _split_year(text: str) -> tuple[str, int | None]:
    """Split a title into the title without IMDb's number, and its year if it has one."""
    title, year = titles.split_year(text)
    numbered = _IMDB_NUMBER.fullmatch(title)
    return (titles.tidy(numbered["title"]) if numbered else title), year


def _split_names(title: str) -> list[str]:
    """Split a MovieLens title into its names, the one for display first."""
    others: list[str] = []
    main = title
    while (match := _OTHER_NAME.fullmatch(main)) and not _CONTINUES.search(match["title"]):
        main = match["title"]
        others.append(titles.article_first(_AKA.sub("", match["other"])))
    return [titles.article_first(main), *others, *([title] if others else [])]


def _listed_or_reason(title: str, year: str, others: Sequence[str] = ()) -> Row:
    title = titles.tidy(title)
    if title in ("", _ABSENT):
        return "no title"
    if not _can_be_stored(title):
        return "a title that can't be stored"
    if year in ("", _ABSENT):
        return "no year"
    year = year.removesuffix(".0")
    is_year = re.fullmatch(r"\d{4}", year)
    if not is_year or not titles.FIRST_YEAR <= int(year) <= titles.LAST_YEAR:
        return "not a year"
    names = [name for other in others if (name := titles.tidy(other)) not in ("", _ABSENT, title)]
    return Listed(title, int(year), tuple(filter(_can_be_stored, names)))


def _can_be_stored(title: str) -> bool:
    return len(title) <= titles.MAX_TITLE and not strict_json.text_problem(title)


def _split_at_tabs(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t")


def _parse_csv(lines: _Lines) -> Iterator[list[str]]:
    """Parse CSV; where a quote is never closed, skip its line and read on with the next."""
    while True:
        try:
            # Without strict, an unclosed quote would silently swallow rows.
            cells = next(csv.reader(lines.begin_row(), strict=True))
        except StopIteration:
            return
        except (csv.Error, _TooLongError):
            lines.put_back_the_rest()
            cells = [_BROKEN]
        yield cells


class _TooLongError(Exception):
    pass


class _Lines(Iterator[str]):
    """The lines of a file; all but the first of the current row can be put back."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        # To be read again, the next one last.
        self._put_back: list[str] = []
        self._row: list[str] = []

    def __next__(self) -> str:
        line = self._put_back.pop() if self._put_back else self._read()
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
        """Yield the lines of the next row; more than ``_MAX_ROW`` bytes raise."""
        self._row = []
        size = 0
        for line in self:
            self._row.append(line)
            size += len(line)
            if size > _MAX_ROW:
                raise _TooLongError
            yield line

    def put_back_the_rest(self) -> None:
        """Put back all lines of the row but the first."""
        self._put_back.extend(reversed(self._row[1:]))


def _decompressed(source: BinaryIO) -> BinaryIO:
    compressed = source.read(len(_GZIP)) == _GZIP
    source.seek(0)
    return gzip.GzipFile(fileobj=source) if compressed else source  # type: ignore[return-value]
