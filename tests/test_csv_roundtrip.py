from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flask.testing import FlaskCliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moodflix import log_csv
from moodflix.requests import COLUMNS, FIELDS, LEGACY_COLUMNS, LogRow, read
from moodflix.store import logs
from moodflix.store.database import Database
from tests.learning import delete_choices

NOW = datetime(2025, 10, 5, 18, 30, tzinfo=timezone.utc)
STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
AWKWARD = st.sampled_from(
    (
        *("\n", "\r", "\r\n", '"', '""', ",", ";", "'", "\\", "\t", " ", "=cmd()", "-1"),
        *("🎬", "마더", "e\u0301", "\ufeff", "\u2028", "\x1a", "\x1c", "\U0010ffff"),
        *(*COLUMNS, *LEGACY_COLUMNS),
    )
)
TEXT = st.lists(AWKWARD | STORABLE, max_size=10).map("".join)
ROWS = st.lists(
    st.tuples(*[TEXT] * 11, TEXT.filter(str.strip))
    # What reads as a header is a row as well when somebody logs it.
    | st.sampled_from([COLUMNS, LEGACY_COLUMNS, tuple(each.upper() for each in COLUMNS)]),
    max_size=6,
)


@pytest.mark.parametrize("header", list(log_csv.HEADERS))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
@example(rows=[COLUMNS])
@example(rows=[("\ufeffx", *[""] * 10, "Mother")])
@example(rows=[('\ufeff"', *["\r"] * 10, "\rM\n")])
@example(rows=[("", *[""] * 10, "=cmd()")])
@example(rows=[COLUMNS[::-1]])
@example(rows=[tuple("abcdefghijkl")])
@example(rows=[("mood", 'to"ne', "tone", *[""] * 8, "city")])
@example(rows=[("mood", "tone", *[""] * 9, "city")])
@example(rows=[("sep=;", *[""] * 10, "x;y")])
@example(rows=[("\r", *["\t"] * 10, ";;;;;;;;;;;x")])
@example(rows=[('"' * 200, *['"' * 200] * 10, "\U0010ffff" * 300)])
def test_export_import_export_gives_the_same_bytes(
    cli: FlaskCliRunner, database: Database, header: str, rows: list[tuple[str, ...]]
) -> None:
    delete_choices(database)
    with database.write() as session:
        for row in rows:
            entry = read(LogRow, dict(zip(FIELDS, row, strict=True)))
            assert tuple(getattr(entry, field) for field in FIELDS) == row
            logs.add(session.connection(), entry, NOW)
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "first.csv"), Path(folder, "second.csv")
        invoke(cli, "export", "--header", header, "-o", str(first))
        delete_choices(database)
        said = invoke(cli, "import", str(first))
        assert said == f"{len(rows)} rows added, 0 already held, 0 rejected.\n"
        with database.read() as session:
            assert list(logs.stream(session)) == rows
        invoke(cli, "export", "--header", header, "-o", str(second))
        assert second.read_bytes() == first.read_bytes()
        # Other programs read the same.
        text = first.read_bytes().decode()
        cells = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert [tuple(each) for each in cells[header != "none" :]] == rows


def invoke(cli: FlaskCliRunner, *args: str) -> str:
    done = cli.invoke(args=["logs", *args])
    assert done.exit_code == 0, done.output
    return done.stdout


GOOD = b"2025-10-01T12:00:00Z,Seoul,37,127,work,work,Friday,clear,12,sad,calm,Mother"
UNCLOSED = GOOD.replace(b"Mother", b'"Mother\n')
BOM = b"\xef\xbb\xbf"
PIECES = st.sampled_from(
    (
        *(b"\n", b"\r\n", b"\r", b'"', b'""', b",", b"," * 11, b"\0", b"\xff", BOM, b" "),
        *(GOOD, GOOD + b"\n", GOOD.replace(b"Mother", b'"Two\nlines"\n'), UNCLOSED),
        *(",".join(COLUMNS).encode() + b"\n", ",".join(LEGACY_COLUMNS).encode() + b"\r\n"),
        *(b"x" * 4_000, b"\n" * 50, "마더".encode()),
    )
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=20).map(b"".join) | st.binary())
@example(b'"' + b"\n" * 30_000 + GOOD)
@example(b"x" * 10_046)
@example(b"x" * 40_000 + b"\n" + GOOD)
@example(GOOD + b"\n" + b"," * 11 * 10_049 + b"\n" + GOOD)
@example(UNCLOSED + GOOD + b"\n" + GOOD)
@example(b" " + ",".join(COLUMNS).encode() + b"\n")
def test_the_reader_never_fails_and_every_line_ends_somewhere(source: bytes) -> None:
    while source.startswith(BOM):
        source = source.removeprefix(BOM)
    rows, kept = taken_apart(source)
    assert taken_apart(BOM + source) == (rows, kept)
    # Without the rejected lines nothing is left but good rows, headers and blank lines.
    left = io.BytesIO(source).readlines()
    for line, raw in reversed(kept):
        taken = slice(line - 1, line - 1 + len(io.BytesIO(raw).readlines()))
        assert b"".join(left[taken]) == raw
        del left[taken]
    text = io.StringIO(b"".join(left).decode(), newline="")
    cells = [tuple(each) for each in csv.reader(text, strict=True) if each]
    assert without_headers(cells) == without_headers(rows)


def without_headers(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    headers = {tuple(name.casefold() for name in each) for each in (COLUMNS, LEGACY_COLUMNS)}
    # Rows of nothing but blanks are skipped as well.
    rows = [row for row in rows if any(cell.strip(" \t") for cell in row)]
    return [row for row in rows if tuple(cell.strip(" ").casefold() for cell in row) not in headers]


def taken_apart(source: bytes) -> tuple[list[tuple[str, ...]], list[tuple[int, bytes]]]:
    """The good rows, and line and bytes of each reject with the rest that belongs to it."""
    rows: list[tuple[str, ...]] = []
    kept: list[tuple[int, bytes]] = []
    for each in log_csv.Reader(io.BytesIO(source)):
        if isinstance(each, LogRow):
            rows.append(tuple(getattr(each, field) for field in FIELDS))
        elif each.rest and kept[-1][0] == each.line:
            kept[-1] = (each.line, kept[-1][1] + each.raw)
        else:
            assert each.rest or each.reason
            kept.append((each.line, each.raw))
    return rows, kept
