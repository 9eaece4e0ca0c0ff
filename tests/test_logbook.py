from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from moodflix.films import shipped
from moodflix.requests import LogRow, read
from moodflix.store import logs
from moodflix.store.database import Database
from moodflix.store.models import LogEntry
from tests.learning import delete_choices

NOW = datetime(2025, 10, 5, 18, 30, tzinfo=timezone.utc)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
# Years that stay years in any zone.
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


def row(title: str, sent_at: str = "", **more: str) -> LogRow:
    return read(LogRow, {"client_sent_at": sent_at, "movie_title": title, **more})


def merge(database: Database, rows: Iterable[LogRow]) -> logs.Merged:
    with database.read() as session:
        merged = logs.merge(session, rows, NOW)
        session.commit()
    return merged


def add(database: Database, *rows: LogRow) -> None:
    with database.write() as session:
        for each in rows:
            logs.add(session.connection(), each, NOW)


def logged(database: Database) -> list[str]:
    with database.read() as session:
        return [each[-1] for each in logs.stream(session)]


@given(MOMENTS)
def test_it_reads_a_moment_as_it_was_written(moment: datetime) -> None:
    read_back = logs.moment(moment.isoformat())
    assert read_back == moment
    assert read_back is not None
    assert read_back.tzinfo is timezone.utc
    assert logs.moment(f" {moment.isoformat(' ')} ") == moment


@given(st.datetimes())
def test_it_takes_a_moment_without_a_zone_for_utc(moment: datetime) -> None:
    assert logs.moment(moment.isoformat()) == moment.replace(tzinfo=timezone.utc)


@given(st.integers(100_000_000, 20_000_000_000))
def test_it_reads_epoch_seconds_and_milliseconds(seconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    assert logs.moment(str(seconds)) == expected
    if seconds > 20_000_000:
        assert logs.moment(f"{seconds}000") == expected


@given(st.text() | st.from_regex(r"[+-]?[0-9]*[.:TZe+-]?[0-9]*", fullmatch=True))
def test_it_never_fails_on_what_is_no_moment(text: str) -> None:
    moment = logs.moment(text)
    assert moment is None or moment.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "2025", "-2025", "12.5", "20251001", "12:00", "2025-02-30", "9" * 200),
        *("yesterday", "NaN", "inf", "loading"),
        *("0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"),
    ],
)
def test_it_knows_what_is_no_moment(text: str) -> None:
    assert logs.moment(text) is None


def test_an_event_is_when_it_was_sent_else_when_it_arrived(database: Database) -> None:
    add(database, row("A", "2025-10-01T12:00:00+09:00"), row("B", "soon"), row("C"))
    day = timedelta(days=1)
    with database.read() as session:
        assert logs.count(session) == 3
        assert logs.count(session, until=NOW) == 1
        assert logs.count(session, since=NOW) == 2
        assert logs.count(session, since=NOW - day, until=NOW) == 0
        sent = datetime(2025, 10, 1, 3, tzinfo=timezone.utc)
        assert logs.count(session, sent, sent + timedelta(microseconds=1)) == 1
        assert [each[-1] for each in logs.stream(session, since=NOW)] == ["B", "C"]
        assert [each[-1] for each in logs.stream(session, until=NOW)] == ["A"]


def test_it_returns_the_newest_rows_oldest_of_them_first(database: Database) -> None:
    # The order is the order of arrival, whatever the clients' clocks say.
    add(
        database, *(row(f"Film {n}", f"20{99 - n}-01-01T00:00:00Z", lat=f"{n}.0") for n in range(9))
    )
    with database.read() as session:
        assert [each[-1] for each in logs.recent(session, 3)] == ["Film 6", "Film 7", "Film 8"]
        assert [each[2] for each in logs.recent(session, 1)] == ["8.0"]
        assert len(logs.recent(session, 50)) == 9
        [(_, chosen)] = logs.choices(session, after=7)
        assert chosen == ["Film 7", "Film 8"]
        assert logs.id_range(session) == (1, 9)
        assert all(len(each) == 12 for each in logs.recent(session, 50))


def test_a_row_that_is_seen_before_one_with_a_lower_id_waits_for_it(database: Database) -> None:
    add(database, *(row(f"Film {n}") for n in range(6)))
    with database.write() as session:
        session.execute(delete(LogEntry).where(LogEntry.id == 4))
    second = timedelta(seconds=1)
    with database.read() as session:
        assert logs.id_range(session, NOW + 59 * second) == (1, 3)
        # Nothing comes any more.
        assert logs.id_range(session, NOW + 60 * second) == (1, 6)
        # Nor does a clock that was set back hold rows up.
        assert logs.id_range(session, NOW - second) == (1, 6)


def test_it_counts_how_often_a_film_was_chosen_under_any_spelling(database: Database) -> None:
    add(database, row('"Mother"'), row("MOTHER"), row("Mother (2009)"), row("Amélie"))
    keys = [shipped.key_of(each) for each in ("mother", "Amelie", "Burning")]
    with database.read() as session:
        chosen = logs.ChoiceCounts().of(session, keys)
        assert {key: counted[""] for key, counted in chosen.items()} == {keys[0]: 3, keys[1]: 1}
        assert logs.ChoiceCounts().of(session, []) == {}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12)
)
def test_a_merge_leaves_as_many_of_each_row_as_either_side_had_most(
    database: Database, held: list[str], arriving: list[str]
) -> None:
    delete_choices(database)
    add(database, *map(row, held))
    merged = merge(database, map(row, arriving))
    after = logged(database)
    assert Counter(after) == Counter(held) | Counter(arriving)
    assert merged == logs.Merged(len(after) - len(held), len(arriving) - (len(after) - len(held)))
    assert after[: len(held)] == held
    # What was added keeps the order of the file: the later ones of equal rows.
    left = Counter(held)
    expected = []
    for title in arriving:
        if left[title]:
            left[title] -= 1
        else:
            expected.append(title)
    assert after[len(held) :] == expected
    assert merge(database, map(row, arriving)) == logs.Merged(0, len(arriving))


def test_a_merge_tells_rows_apart_by_every_column_as_text(database: Database) -> None:
    plain = dict.fromkeys(LogRow.model_fields, "") | {"movie_title": "Mother"}
    rows = [read(LogRow, plain)]
    rows += [read(LogRow, plain | {field: f"{plain[field]} "}) for field in plain]
    rows += [read(LogRow, plain | {"lat": text}) for text in ("22", "22.0", "é", "e\u0301", "É")]
    assert merge(database, rows) == logs.Merged(len(rows), 0)
    assert merge(database, reversed(rows)) == logs.Merged(0, len(rows))


def test_a_merge_stores_what_an_added_row_would_have(database: Database, instance: Path) -> None:
    given_row = row('"Amélie" (2001)', "1759320000", city="Seoul", tone="calm")
    add(database, given_row)
    merge(database, [given_row, given_row])
    columns = (
        "SELECT city, tone, event_at, received_at, film_key, answer_id, movie_title "
        "FROM logs ORDER BY id"
    )
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        added, merged = connection.execute(columns).fetchall()
    assert added == merged


def test_a_choice_made_while_a_merge_reads_is_saved_at_once(database: Database) -> None:
    def rows() -> Iterator[LogRow]:
        for place in range(5_000):
            if place == 3_000:
                add(database, row("Live"))
            yield row(f"Film {place}")

    assert merge(database, rows()).added == 5_000
    assert logged(database)[:2] == ["Live", "Film 0"]


def test_a_merge_that_fails_leaves_no_trace(database: Database) -> None:
    def rows() -> Iterator[LogRow]:
        yield from (row(f"Film {place}") for place in range(3_000))
        raise OSError("the file went away")

    with pytest.raises(OSError, match="went away"):
        merge(database, rows())
    assert logged(database) == []
    assert merge(database, [row("Mother")]).added == 1


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, object]]]:
    seen: list[tuple[str, object]] = []

    def note(_c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def plan(instance: Path, statement: str, parameters: object) -> list[str]:
    assert isinstance(parameters, tuple)
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    return [each[3] for each in rows]


def steps(instance: Path, statement: str, parameters: object, rows: int = 50) -> int:
    """How many instructions of its virtual machine SQLite runs to find these rows."""
    assert isinstance(parameters, tuple)
    taken = itertools.count()
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        connection.set_progress_handler(lambda: next(taken) < 0, 1)
        assert len(connection.execute(statement, parameters).fetchall()) == rows
    return next(taken)


def test_the_newest_rows_cost_the_same_however_many_there_are(
    database: Database, instance: Path
) -> None:
    add(database, *(row(f"Film {n}") for n in range(100)))
    with statements(database) as seen, database.read() as session:
        logs.recent(session, 50)
    (query,) = [each for each in seen if each[0].startswith("SELECT")]
    # SQLite calls it a scan when the table is walked by its primary key; LIMIT ends the walk.
    # Sorting would be a second line.
    assert plan(instance, *query) == ["SCAN logs"]
    few = steps(instance, *query)
    merge(database, (row(f"Film {n}") for n in range(100, 5_000)))
    assert steps(instance, *query) == few


def test_bounds_and_films_are_found_by_their_indexes(database: Database, instance: Path) -> None:
    with statements(database) as seen, database.read() as session:
        logs.count(session, since=NOW)
        logs.ChoiceCounts().of(session, ["mother"])
        logs.chosen_since(session, NOW)
    found = [step for each in seen if "logs" in each[0] for step in plan(instance, *each)]
    assert found == [
        "SEARCH logs USING COVERING INDEX ix_logs_event_at (event_at>?)",
        "SEARCH logs",  # its newest row
        "SEARCH logs USING COVERING INDEX ix_logs_film_key_mood (film_key=?)",
        "SEARCH logs USING COVERING INDEX ix_logs_event_at (event_at>?)",
        "USE TEMP B-TREE FOR DISTINCT",
    ]


def test_what_was_chosen_lately_costs_the_same_however_large_the_log(
    database: Database, instance: Path
) -> None:
    merge(database, (row(f"Film {n}", "2025-10-01T20:00:00Z") for n in range(20)))
    with statements(database) as seen, database.read() as session:
        logs.chosen_since(session, NOW - timedelta(days=7))
    (query,) = [each for each in seen if each[0].startswith("SELECT")]
    few = steps(instance, *query, rows=20)
    merge(database, (row(f"Film {n}", "2025-08-01T20:00:00Z") for n in range(5_000)))
    assert steps(instance, *query, rows=20) == few


@pytest.mark.parametrize(
    ("bounds", "found"),
    [
        (["--since", "2025-10-02"], ["B", "C"]),
        (["--until", "2025-10-02"], ["A", "B"]),
        (["--until", "2025-10-02T23:00:00Z"], ["A"]),
        (["--until", "2025-10-03T09:00:00+09:00"], ["A", "B"]),
        (["--since", "2025-10-02T23:00:00Z", "--until", "2025-10-03T00:00:00"], ["B"]),
        # 2025-10-02T23:00:01Z as epoch seconds is no date, though it is as long as one.
        (["--until", "1759446001"], ["A", "B"]),
        (["--until", "9999-12-31"], ["A", "B", "C"]),
        (["--since", "9999-12-31"], []),
    ],
)
def test_it_exports_what_was_chosen_between_two_moments(
    cli: FlaskCliRunner, database: Database, bounds: list[str], found: list[str]
) -> None:
    moments = {"A": "2025-10-01T23:59:59.999Z", "B": "1759446000", "C": "2025-10-03T09:00:00+09:00"}
    add(database, *(row(*each) for each in moments.items()))
    done = cli.invoke(args=["logs", "export", "--header", "none", *bounds])
    assert [each.rsplit(",", 1)[1] for each in done.stdout.splitlines()] == found


def test_a_moment_that_makes_no_sense_is_refused(cli: FlaskCliRunner) -> None:
    done = cli.invoke(args=["logs", "export", "--since", "yesterday"])
    assert done.exit_code == 2
    assert "write it as 2025-10-01" in done.stderr
