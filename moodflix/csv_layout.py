"""Finds out how a CSV of the log is laid out: encoding, line ends, separator, order of columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from moodflix import vocabulary
from moodflix.errors import InvalidInputError
from moodflix.requests import COLUMNS, FIELDS, LEGACY_COLUMNS

#: Bytes of a file's start that are looked at.
HEAD: Final = 1 << 16
BOM: Final = "\ufeff"
_SEPARATORS: Final = (",", ";", "\t")
# What spreadsheets write and read as the first line.
_SEPARATOR_LINE: Final = re.compile(r'(?:sep=([,;\t])|"sep=([,;\t])")(?:\r\n?|\n|$)', re.IGNORECASE)
_FIELD_OF: Final = {
    name.casefold(): field
    for names in (COLUMNS, LEGACY_COLUMNS)
    for name, field in zip(names, FIELDS, strict=True)
}
_NAME: Final = re.compile(r"[^\W\d_][\w .()°/-]{0,39}")
#: How a row is written that would else read as a header: only its first cell is quoted.
NO_HEADER: Final = re.compile(r'"[^"]*",[^"]')
_QUOTED: Final = re.compile(r'"[^"]*"')
_NEEDS_QUOTES: Final = frozenset('",\r\n')


@dataclass(frozen=True)
class Layout:
    """How a CSV is laid out; by default as this station writes it.

    ``places`` has the place of each of ``FIELDS`` in a row of at most ``width`` cells.
    ``header`` is empty if there is none, or if it is one of the two that this station writes.
    """

    encoding: str = "utf-8"
    line_end: str = "\n"
    separator: str = ","
    has_separator_line: bool = False
    header: tuple[str, ...] = ()
    places: tuple[int, ...] = tuple(range(len(FIELDS)))
    width: int = len(FIELDS)

    @property
    def preamble(self) -> str:
        """Return the lines that rows of this layout need before them to be read the same way."""
        lines = [f"sep={self.separator}"] if self.separator != "," else []
        if self.header:
            buffer = io.StringIO(newline="")
            csv.writer(buffer, delimiter=self.separator, lineterminator="").writerow(self.header)
            lines.append(buffer.getvalue())
        return "".join(line + self.line_end for line in lines)


def detect(head: bytes, encoding: str | None = None) -> Layout:
    """Find out the layout from the first bytes of a file.

    Raises:
        InvalidInputError: the file can't be read; the text says how to mend it.
    """
    encoding = encoding or _encoding(head)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix(BOM)
    unquoted = _QUOTED.sub("", text)
    line_end = "\r" if "\r" in unquoted and "\n" not in unquoted else "\n"
    marked = _SEPARATOR_LINE.match(text)
    if marked:
        separator = marked[1] or marked[2]
        cells = _first_record(text[marked.end() :], separator)
    else:
        separator, cells = _separated(text)
    start = Layout(encoding, line_end, separator, bool(marked))
    if _is_unmarked_header(cells, text):
        return _with_header(start, cells)
    # A spreadsheet may fill up all rows with empty cells.
    return replace(start, width=max(len(cells), start.width)) if _has_all(cells) else start


def is_standard(cells: Sequence[str]) -> bool:
    """Whether the cells are the names of all columns in the order of ``FIELDS``."""
    return _field(cells[-1]) == FIELDS[-1] and tuple(map(_field, cells)) == FIELDS


def looks_like_header(cells: Sequence[str]) -> bool:
    """Whether a row of the log must be marked, so that it isn't read as a header."""
    return not _NEEDS_QUOTES & {*cells[0], *cells[1]} and _is_header(cells)


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Every other byte of a comma, a digit or a line end.
    low, high = head[1::2].count(0), head[::2].count(0)
    if 8 * max(low, high) > len(head):
        return "utf-16-le" if low > high else "utf-16-be"
    lines = head.split(b"\n")
    is_utf8 = _decodes(head, "utf-8") or any(
        not line.isascii() and _decodes(line, "utf-8") for line in lines[:-1]
    )
    if not is_utf8 and _decodes(head, "cp949"):
        raise InvalidInputError(
            "it is not UTF-8 but probably cp949 (Korean Windows); "
            "add --encoding cp949, or save it as CSV UTF-8"
        )
    # Rows that are not UTF-8 are rejected one by one.
    return "utf-8"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return False
    return True


def _separated(text: str) -> tuple[str, list[str]]:
    """Return the separator of the first row, and its cells."""
    for separator in _SEPARATORS:
        cells = _first_record(text, separator)
        if _has_all(cells) or _is_header(cells):
            return separator, cells
    return ",", []


def _first_record(text: str, separator: str) -> list[str]:
    # Not strict: what is wrong with the row is said when it is read.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return next((cells for cells in rows if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []


def _has_all(cells: Sequence[str]) -> bool:
    """Whether a row without header has the 12 columns, the last of which is never empty."""
    return len(_filled(cells)) == len(FIELDS)


def _filled(cells: Sequence[str]) -> list[str]:
    """Return the cells up to the last that is not empty."""
    filled = [place for place, cell in enumerate(cells, start=1) if cell.strip()]
    return list(cells[: filled[-1] if filled else 0])


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first row has names of columns, known ones or others."""
    if sum(_field(cell) is not None for cell in cells) > 1:
        return True
    names = [_name(cell) for cell in _filled(cells)]
    return (
        len({*names}) == len(names) > 1
        and all(map(_NAME.fullmatch, names))
        and not any(map(vocabulary.weekday, names))
    )


def _is_unmarked_header(cells: Sequence[str], text: str) -> bool:
    """Whether a file that begins with this text and these cells has a header."""
    if len(cells) != len(FIELDS):
        return _is_header(cells)
    return looks_like_header(cells) and not NO_HEADER.match(text)


def _with_header(start: Layout, cells: Sequence[str]) -> Layout:
    found = [_field(cell) for cell in cells]
    for field, name in zip(FIELDS, COLUMNS, strict=True):
        if found.count(field) > 1:
            raise InvalidInputError(f"its header names {name} twice; delete one of the columns")
    missing = [name for field, name in zip(FIELDS, COLUMNS, strict=True) if field not in found]
    if missing:
        raise InvalidInputError(
            f"its header has no {', '.join(missing)}; name the columns as `flask logs export` does "
            "(one may be empty), or delete the header if they are in that order"
        )
    places = tuple(map(found.index, FIELDS))
    if places == Layout.places and len(cells) == len(FIELDS):
        return start
    return replace(start, header=tuple(cells), places=places, width=len(cells))


def _field(cell: str) -> str | None:
    return _FIELD_OF.get(_name(cell))


def _name(cell: str) -> str:
    return cell.strip(BOM + " ").casefold()
