"""Files that people and spreadsheets make: other orders, separators and encodings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.requests import COLUMNS, LEGACY_COLUMNS

Import = Callable[..., Result]
ROW = {
    "clientSentAt": "2025-10-01T12:00:00Z",
    "city": "서울",
    "lat": "37.5",
    "lon": "127.0",
    "today_status": "work",
    "tomorrow_status": "holiday",
    "weekday": "Wednesday",
    "weather_desc": "clear",
    "temperature": "22",
    "mood": "sad",
    "tone": "calm",
    "movie_title": "기생충",
}
VALUES = list(ROW.values())
HEADERS = {"documented": list(COLUMNS), "legacy": list(LEGACY_COLUMNS)}


@pytest.fixture
def import_(cli: FlaskCliRunner, tmp_path: Path) -> Import:
    """Import a file of these bytes with `flask logs import`."""

    def run(content: bytes | str, *options: str) -> Result:
        path = tmp_path / "old.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return cli.invoke(args=["logs", "import", str(path), *options])

    return run


def rows(client: FlaskClient) -> list[dict[str, str]]:
    found = client.get("/inference/log").get_json()
    return [{name: row[name] for name in ROW} for row in found]


def table(*lines: list[str], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(cells) + end for cells in lines)


def assert_imported(done: Result, client: FlaskClient, n: int = 1) -> None:
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{n} rows added, 0 already held, 0 rejected.\n"
    assert rows(client) == [ROW] * n


def assert_refused(done: Result, client: FlaskClient, *words: str) -> None:
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: ")
    assert all(word in done.stderr for word in words), done.stderr
    assert rows(client) == []


@pytest.mark.parametrize("header", HEADERS)
def test_it_finds_columns_by_name_in_any_order(
    import_: Import, client: FlaskClient, header: str
) -> None:
    names = [f" {name.upper()}" for name in reversed(HEADERS[header])]
    assert_imported(import_(table(names, VALUES[::-1], names, VALUES[::-1])), client, 2)


def test_further_columns_and_empty_lines_pass(import_: Import, client: FlaskClient) -> None:
    lines = [
        ["", *COLUMNS, "note", ""],
        ["1", *VALUES, "good", ""],
        [""] * 15,
        ["  "],
        ["2", *VALUES, "", ""],
        ["3", *VALUES],
    ]
    assert_imported(import_("\n" + table(*lines)), client, 3)


def test_cells_that_a_spreadsheet_adds_to_a_row_pass(import_: Import, client: FlaskClient) -> None:
    lines = [[*COLUMNS, ""], [*VALUES, ""], [""] * 13, VALUES]
    assert_imported(import_(table(*lines)), client, 2)
    assert import_(table(*lines[1:])).stdout.startswith("0 rows added, 2 already held, 0 rejected")


@pytest.mark.parametrize(
    "names",
    [
        "time,town,latitude north,longitude east,today,next,day,sky,degrees,m,t,film",
        "시간,도시,위도,경도,오늘,내일,요일,날씨,기온,기분,목소리,영화",
        '"time";"town";"north";"east";"today";"tomorrow";"day";"sky";"degrees";"m";"t";"film"',
        "title,year",
    ],
)
def test_an_unknown_header_is_refused(import_: Import, client: FlaskClient, names: str) -> None:
    done = import_(f"{names}\n{table(VALUES)}")
    assert_refused(done, client, "old.csv", "header", "movie_title", "flask logs export")


def test_a_header_names_each_column_once(import_: Import, client: FlaskClient) -> None:
    few = [name for name in COLUMNS if name not in ("lat", "tone")]
    assert_refused(import_(table(few, VALUES[2:])), client, "header has no lat, tone;")
    twice = [*COLUMNS, "voice_tone"]
    assert_refused(import_(table(twice, [*VALUES, "x"])), client, "names tone twice")


def test_a_first_row_of_words_is_no_header(import_: Import, client: FlaskClient) -> None:
    words = ["Yesterday", *VALUES[1:6], "Friday", *VALUES[7:]]
    assert import_(table(words)).stdout.startswith("1 rows added")
    assert [row["weekday"] for row in rows(client)] == ["Friday"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n", "SEP={}\n", '"sep={}"\r\n'])
@pytest.mark.parametrize("header", [[list(COLUMNS)], [list(LEGACY_COLUMNS)], []])
def test_it_finds_the_separator(
    import_: Import, client: FlaskClient, separator: str, first: str, header: list[list[str]]
) -> None:
    text = first.format(separator) + table(*header, VALUES, separator=separator, end="\r\n")
    assert_imported(import_("\ufeff" + text), client)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_it_reads_unicode_of_any_line_end(
    import_: Import, client: FlaskClient, encoding: str, end: str
) -> None:
    text = table(list(COLUMNS), VALUES, VALUES, separator="\t", end=end)
    assert_imported(import_(text.encode(encoding)), client, 2)


def test_a_cell_may_have_the_other_line_ends(import_: Import, client: FlaskClient) -> None:
    two = '"Two\r\nlines"'
    assert import_(table([*VALUES[:-1], two], VALUES, end="\r")).exit_code == 0
    assert [row["movie_title"] for row in rows(client)] == ["Two\r\nlines", "기생충"]


def test_cp949_is_named_and_read_when_named(import_: Import, client: FlaskClient) -> None:
    data = table(list(COLUMNS), VALUES).encode("cp949")
    assert_refused(import_(data), client, "old.csv", "cp949", "--encoding cp949", "CSV UTF-8")
    assert_imported(import_(data, "--encoding", "CP949"), client)


@pytest.mark.parametrize("encoding", ["cp949", "utf-16"])
def test_a_file_that_is_not_in_its_encoding_is_refused(
    import_: Import, client: FlaskClient, encoding: str
) -> None:
    data = table(VALUES).encode(encoding) + b"\xff"
    assert_refused(import_(data, "--encoding", encoding), client, encoding, "CSV UTF-8")


def test_an_unknown_encoding_is_refused(import_: Import) -> None:
    done = import_(table(VALUES), "--encoding", "hex")
    assert done.exit_code == 2
    assert "no encoding of text" in done.stderr


def test_a_row_that_is_not_utf8_says_how_to_mend_the_file(
    import_: Import, client: FlaskClient
) -> None:
    good, bad = (
        table(VALUES).encode(),
        table([*VALUES[:-1], "Amélie"]).replace("서울", "").encode("latin-1"),
    )
    done = import_(good + bad)
    assert done.exit_code == 1
    reason = done.stderr.splitlines()[0]
    assert reason.startswith("line 2: ")
    assert "not UTF-8" in reason
    assert "--encoding" in reason
    assert "surrogate" not in done.stderr
    assert rows(client) == [ROW]


@pytest.mark.parametrize(
    ("header", "row", "separator", "end"),
    [
        ([COLUMNS[::-1]], VALUES[::-1], ",", "\n"),
        ([[*COLUMNS, "note"]], [*VALUES, "x"], "\t", "\r"),
        ([], VALUES, ";", "\r\n"),
    ],
)
def test_rejects_keep_what_is_needed_to_read_them_again(
    import_: Import,
    client: FlaskClient,
    tmp_path: Path,
    header: list[list[str]],
    row: list[str],
    separator: str,
    end: str,
) -> None:
    good = table(row, separator=separator, end=end)
    text = table(*header, row, ["bad"], separator=separator, end=end)
    assert import_(text).stdout == "1 rows added, 0 already held, 1 rejected.\n"
    rejects = (tmp_path / "old.csv.rejects").read_bytes()
    assert rejects.endswith(f"bad{end}".encode())
    again = import_(rejects.replace(f"bad{end}".encode(), good.encode()))
    assert again.stdout == "0 rows added, 1 already held, 0 rejected.\n"
    assert rows(client) == [ROW]
