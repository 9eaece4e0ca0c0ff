"""The 12-column CSV in and out."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from moodflix.errors import FieldProblem, InvalidInputError
from moodflix.schemas import COLUMNS, FIELDS, LEGACY_COLUMNS, MAX_TEXT, MAX_TITLE, LogRow, read

HEADERS: Final = {"documented": COLUMNS, "legacy": LEGACY_COLUMNS, "none": None}
# Bytes of the longest good row (4 a character): past this a quote was never closed.
_MAX_RECORD: Final = 4 * (MAX_TITLE + (len(FIELDS) - 1) * MAX_TEXT) + 4 * len(FIELDS)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")


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
        out.write(_line([_disarmed(cell) for cell in row] if spreadsheet_safe else row))
    return count


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    # Before 3.13 Python quotes a lone \r or \n inside a cell only if the line end holds it.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()[:-2] + "\n"


def _disarmed(cell: str) -> str:
    if cell.startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file for writing that takes the place of ``path`` only once it is whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # mkstemp makes a private file; an export is as readable as any file made here.
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(handle, 0o666 & ~umask)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Reject:
    """A row that can't be taken: the line it starts on, its bytes as they were, the reasons."""

    line: int
    raw: bytes
    problems: Sequence[FieldProblem] = field(default_factory=tuple)

    @property
    def reason(self) -> str:
        """Return the reasons as one line."""
        return "; ".join(f"{each.field}: {each.message}".lstrip(": ") for each in self.problems)


class Reader:
    """Reads the CSV of any era, row by row: either header or none, BOM or not, LF or CRLF.

    A quote that is never closed swallows at most one row: what follows it is read again.
    """

    def __init__(self, source: BinaryIO) -> None:
        """Read from ``source``, in bounded memory."""
        self._source = source
        self._line = 0
        self._line_ended = True
        self._again: list[bytes] = []

    def __iter__(self) -> Iterator[LogRow | Reject]:
        """Yield each row, taken or rejected, in order; blank lines and headers hold none."""
        while (record := self._record()) is not None:
            if record.problem or (record.cells and not _is_header(record.cells)):
                yield self._row(record)

    def _row(self, record: _Record) -> LogRow | Reject:
        problem, raw = record.problem, record.raw
        if not problem and len(record.cells) != len(FIELDS):
            problem = f"expected {len(FIELDS)} columns, found {len(record.cells)}"
        problems: Sequence[FieldProblem] = [FieldProblem("", problem)]
        if not problem:
            try:
                return read(LogRow, dict(zip(FIELDS, record.cells, strict=True)))
            except InvalidInputError as error:
                problems = error.problems
        if len(raw) > 1:
            # The first line may have opened a quote it never closed.
            self._again = raw[1:] + self._again
            self._line -= len(raw) - 1
            self._line_ended = True
        return Reject(record.line, raw[0], problems)

    def _record(self) -> _Record | None:
        record = _Record(self._line + 1)
        try:
            record.cells = next(csv.reader(self._lines(record.raw)))
        except StopIteration:
            return None
        except csv.Error as error:
            record.problem = str(error)
        except _TooLongError:
            record.problem = "the row is too long; is a quote never closed?"
        return record

    def _lines(self, taken: list[bytes]) -> Iterator[str]:
        size = 0
        while line := self._again.pop(0) if self._again else self._source.readline(_MAX_RECORD + 1):
            if self._line == 0:
                line = line.removeprefix(codecs.BOM_UTF8)
            self._line += self._line_ended
            self._line_ended = line.endswith(b"\n")
            taken.append(line)
            size += len(line)
            if size > _MAX_RECORD:
                raise _TooLongError
            # Bytes that aren't UTF-8 become surrogates, which no row may hold.
            yield line.decode(errors="surrogateescape")


@dataclass
class _Record:
    line: int
    raw: list[bytes] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    problem: str = ""


class _TooLongError(Exception):
    pass


def _is_header(fields: Sequence[str]) -> bool:
    names = tuple(cell.strip().casefold() for cell in fields)
    return any(
        names == tuple(column.casefold() for column in header)
        for header in (COLUMNS, LEGACY_COLUMNS)
    )
