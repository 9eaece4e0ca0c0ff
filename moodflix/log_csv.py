"""Reads and writes the 12-column CSV of the log."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from moodflix import csv_layout
from moodflix.csv_layout import BOM, Layout
from moodflix.errors import FieldProblem, InvalidInputError
from moodflix.films.titles import MAX_TITLE
from moodflix.requests import COLUMNS, FIELDS, LEGACY_COLUMNS, LogRow, read
from moodflix.strict_json import MAX_TEXT

HEADERS: Final = {"documented": COLUMNS, "legacy": LEGACY_COLUMNS, "none": None}
# More characters than the longest valid row has: past this a quote was never closed.
_MAX_RECORD: Final = 4 * (MAX_TITLE + (len(FIELDS) - 1) * MAX_TEXT) + 4 * len(FIELDS)
# Characters read at a time: more than the longest row, the byte order mark included.
_PIECE: Final = _MAX_RECORD + 1 + len(BOM)
#: A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA_STARTS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")
# A surrogate stands for a byte that isn't UTF-8.
_SURROGATES: Final = "lone surrogates"
_NOT_UTF8: Final = "is not UTF-8; save the file as CSV UTF-8, or name its encoding with --encoding"
# How messages of the csv module begin, and plain words for them.
_PLAIN_WORDS: Final = {
    "unexpected end of data": "a quote is never closed",
    "new-line character seen": "a carriage return stands outside quotes",
    "line contains NUL": "must not contain NUL characters",
}


def write(
    rows: Iterable[Sequence[str]],
    out: TextIO,
    header: Sequence[str] | None = COLUMNS,
    *,
    spreadsheet_safe: bool = False,
) -> int:
    r"""Write rows as CSV with ``\n`` line ends; return how many.

    With ``spreadsheet_safe`` a cell that a spreadsheet would run as a formula gets a leading
    apostrophe (numbers stay as they are); such a file does not read back as it was.
    """
    count = 0
    if header:
        out.write(_line(header))
    for count, row in enumerate(rows, start=1):  # noqa: B007 - counted as it streams
        out.write(_row_line([_without_formula(cell) for cell in row] if spreadsheet_safe else row))
    return count


def _row_line(cells: Sequence[str]) -> str:
    line = _line(cells)
    # Quoted, so that it isn't read as the file's byte order mark or as a header.
    if not line.startswith('"') and (
        cells[0].startswith(BOM) or csv_layout.looks_like_header(cells)
    ):
        line = f'"{cells[0]}"{line[len(cells[0]) :]}'
    return line


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    # Before 3.13 Python quotes a lone \r or \n inside a cell only if the line end holds it.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()[:-2] + "\n"


def _without_formula(cell: str) -> str:
    if cell.startswith(FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


@dataclass(frozen=True)
class Reject:
    """A row that can't be read: the line it starts on, its bytes as they were, the reasons.

    ``rest`` marks bytes that belong to the reject before them: more of an endless line, or a blank
    line inside a row.
    """

    line: int
    raw: bytes
    problems: Sequence[FieldProblem] = ()
    rest: bool = False

    @property
    def reason(self) -> str:
        """Return the reasons as one line."""
        return "; ".join(map(str, self.problems))


def open_csv(path: Path) -> io.BufferedReader:
    """Open a CSV with a buffer that holds as much as is looked at to find out its layout."""
    return io.BufferedReader(path.open("rb", buffering=0), csv_layout.HEAD)


class Reader:
    """Reads the CSV of this station and of the old server, or one of another layout.

    A quote that is never closed rejects one row only: the lines after it are read again.
    """

    def __init__(self, source: BinaryIO, layout: Layout = Layout()) -> None:  # noqa: B008 - frozen
        """Read from ``source``, in bounded memory."""
        self.layout = layout
        # Bytes that aren't UTF-8 become surrogates, which no row may hold.
        errors = "surrogateescape" if layout.encoding == "utf-8" else "strict"
        self._source = io.TextIOWrapper(source, layout.encoding, errors, newline=layout.line_end)
        self._line = 0
        self._line_ended = True
        self._to_read_again: list[str] = []

    @classmethod
    def of_file(cls, source: io.BufferedReader, encoding: str | None = None) -> Reader:
        """Return a reader of a file whose layout is yet to be found out.

        Raises:
            InvalidInputError: the file can't be read; the text says how to mend it.
        """
        return cls(source, csv_layout.detect(source.peek(csv_layout.HEAD), encoding))

    def __iter__(self) -> Iterator[LogRow | Reject]:
        """Yield each row, read or rejected, in order; empty rows and headers are skipped.

        Raises:
            InvalidInputError: the file isn't in its encoding.
        """
        if self.layout.has_separator_line:
            self._read_line()
        while True:
            if not self._line_ended and (piece := self._read_line()):
                yield Reject(self._line, _bytes(piece), rest=True)
                continue
            rejected = bool(self._to_read_again)
            record = self._record()
            if record is None:
                return
            if record.problem or not (record.is_empty or self._is_header(record)):
                yield self._row(record)
            elif rejected and record.is_empty:
                yield Reject(record.line, _bytes(record.raw[0]), rest=True)

    def _is_header(self, record: _Record) -> bool:
        cells = record.cells
        if self.layout.header and tuple(cells) == self.layout.header:
            return True
        return csv_layout.is_standard(cells) and not csv_layout.NO_HEADER.match(record.raw[0])

    def _row(self, record: _Record) -> LogRow | Reject:
        problem, raw, layout = record.problem, record.raw, self.layout
        if not problem and not max(layout.places) < len(record.cells) <= layout.width:
            problem = f"expected {layout.width} columns, found {len(record.cells)}"
        if not problem:
            values = (record.cells[place] for place in layout.places)
            try:
                return read(LogRow, dict(zip(FIELDS, values, strict=True)))
            except InvalidInputError as error:
                found = [
                    replace(each, message=_NOT_UTF8) if _SURROGATES in each.message else each
                    for each in error.problems
                ]
                return Reject(record.line, _bytes("".join(raw)), found)
        if len(raw) > 1:
            # The first line may have opened a quote it never closed.
            self._to_read_again = raw[1:] + self._to_read_again
            self._line -= len(raw) - 1
            self._line_ended = True
        return Reject(record.line, _bytes(raw[0]), [FieldProblem("", problem)])

    def _record(self) -> _Record | None:
        record = _Record(self._line + 1)
        lines = self._lines(record.raw)
        try:
            # Strict: else a quote never closed could pass for the rows it swallowed.
            record.cells = next(csv.reader(lines, delimiter=self.layout.separator, strict=True))
        except StopIteration:
            return None
        except csv.Error as error:
            message = str(error)
            record.problem = next(
                (plain for start, plain in _PLAIN_WORDS.items() if message.startswith(start)),
                message,
            )
        except _TooLongError:
            record.problem = "the row is too long; is a quote never closed?"
        return record

    def _lines(self, raw: list[str]) -> Iterator[str]:
        size = 0
        while line := self._read_line():
            raw.append(line)
            size += len(line)
            if size > _MAX_RECORD:
                raise _TooLongError
            yield line

    def _read_line(self) -> str:
        try:
            line = (
                self._to_read_again.pop(0) if self._to_read_again else self._source.readline(_PIECE)
            )
        except UnicodeError as error:
            raise InvalidInputError(
                f"it is not {self.layout.encoding} throughout (after line {self._line}); "
                "save it as CSV UTF-8, or name its encoding with --encoding"
            ) from error
        if self._line == 0:
            line = line.removeprefix(BOM)
        if line:
            self._line += self._line_ended
            self._line_ended = line.endswith(self.layout.line_end)
        return line


@dataclass
class _Record:
    line: int
    raw: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        return not any(cell.strip(" \t") for cell in self.cells)


class _TooLongError(Exception):
    pass


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
