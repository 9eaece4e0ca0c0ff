from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from moodflix import vocabulary
from moodflix.films.film_lists import Listed
from moodflix.requests import LogRow
from moodflix.store import film_links, films, logs
from moodflix.store.database import Database
from moodflix.store.models import LogEntry

NOW = datetime(2026, 1, 5, 20, tzinfo=timezone.utc)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from(["sad", "행복", "neutral", "?", ""]),
        st.sampled_from(["light rain", "눈", "laoading"]),
        st.sampled_from(["Friday", "토요일", ""]),
    ),
    max_size=8,
)
Row = tuple[str, str, str, str]


def add(database: Database, rows: Sequence[Row]) -> None:
    with database.write() as session:
        for title, mood, weather, weekday in rows:
            row = LogRow(movie_title=title, mood=mood, weather_desc=weather, weekday=weekday)
            logs.add(session.connection(), row, NOW)


def by_hand(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for title, mood, weather, weekday in rows:
        words = {vocabulary.mood(mood), vocabulary.weather(weather), vocabulary.weekday(weekday)}
        known = {word or "" for word in words} - {"neutral"}
        found.setdefault(title.lower(), Counter()).update({"", *known})
    return found


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=4))
def test_counting_on_is_counting_anew(database: Database, parts: list[list[Row]]) -> None:
    with database.write() as session:
        session.execute(delete(LogEntry))
    kept, logged = logs.ChoiceCounts(), []
    for part in parts:
        add(database, part)
        logged += part
        for keys in (["a", "b"], ["a", "b", "c", "d"]):
            expected = {key: each for key, each in by_hand(logged).items() if key in keys}
            with database.read() as session:
                assert kept.of(session, keys) == expected
                assert logs.ChoiceCounts().of(session, keys) == expected


@pytest.mark.parametrize("rows", [3, 60])
def test_it_follows_a_few_rows_and_more_than_a_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(logs, "_BATCH", 50)
    occasions = logs.ChoiceCounts()
    for times in (1, 2):
        add(database, [("A", "sad", "rain", "Friday")] * rows)
        with database.read() as session:
            [found] = occasions.of(session, ["a"]).values()
        assert found == {"": times * rows, "sad": times * rows, "rain": times * rows} | {
            "friday": times * rows
        }


def test_films_counted_before_cost_two_small_statements(database: Database) -> None:
    add(database, [("A", "sad", "rain", "Friday")] * 10)
    seen: list[str] = []
    occasions = logs.ChoiceCounts()
    with database.read() as session:
        occasions.of(session, ["a", "b"])
        event.listen(
            database.engine, "before_cursor_execute", lambda *args: seen.append(str(args[2]))
        )
        occasions.of(session, ["a", "b"])
    assert len(seen) == 2
    assert "max(logs.id)" in seen[0]
    assert "max(film_names.id)" in seen[1]


def test_another_thread_may_count_meanwhile(database: Database) -> None:
    occasions = logs.ChoiceCounts()
    add(database, [("A", "sad", "rain", "Friday")])
    with database.read() as session:
        occasions.of(session, ["a"])
    add(database, [("A", "sad", "rain", "Friday")])
    turns = iter([True])

    def meanwhile(*args: object) -> None:
        if "logs.id >" in str(args[2]) and next(turns, False):
            with database.read() as other:
                occasions.of(other, ["a"])

    event.listen(database.engine, "before_cursor_execute", meanwhile)
    with database.read() as session:
        assert occasions.of(session, ["a"])["a"][""] == 2
    event.remove(database.engine, "before_cursor_execute", meanwhile)
    with database.read() as session:
        assert occasions.of(session, ["a"])["a"][""] == 2


def test_a_choice_is_recent_by_when_it_was_made_and_when_it_came(database: Database) -> None:
    def choose(title: str, made: timedelta, came: timedelta) -> None:
        row = LogRow(movie_title=title, client_sent_at=(NOW + made).isoformat())
        with database.write() as session:
            logs.add(session.connection(), row, NOW + came)

    day = timedelta(days=1)
    choose("Now", 0 * day, 0 * day)
    choose("Imported", -9 * day, 0 * day)
    choose("Clock ahead", 9 * day, -9 * day)
    with database.read() as session:
        assert logs.chosen_since(session, NOW - 2 * day) == {"now"}
        assert logs.chosen_since(session, NOW - 10 * day) == {"now", "imported", "clock ahead"}


def test_an_import_that_makes_choices_those_of_another_film_is_noticed(database: Database) -> None:
    kept, keys = logs.ChoiceCounts(), ["film of long ago", "film of long ago (1901)"]
    add(database, [("A Film Of Long Ago", "sad", "", "")])
    with database.read() as session:
        before = kept.of(session, keys)
        assert before == {keys[0]: Counter({"": 1, "sad": 1})}
    with database.write() as session:
        films.merge(session, [Listed("A Film Of Long Ago", 1901)])
        assert film_links.link(session)
    with database.read() as session:
        assert kept.of(session, keys) == {keys[1]: Counter({"": 1, "sad": 1})}
