from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from moodflix import demo
from moodflix.instance import Instance
from tests.sample import DAYS, NOW


def rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def dump(file: Path) -> list[Any]:
    """All that a sample holds."""
    tables = {
        "answers": "id",
        "answer_picks": "answer_id, position",
        "logs": "id",
        "trainings": "id",
    }
    return [rows(file, f"SELECT * FROM {name} ORDER BY {key}") for name, key in tables.items()]


def test_it_is_as_many_days_up_to_now_with_more_people_at_weekends(sample: Path) -> None:
    sent = [
        datetime.fromisoformat(each) for [each] in rows(sample, "SELECT client_sent_at FROM logs")
    ]
    days = [each.date() for each in sent]
    assert {NOW.date() - timedelta(ago) for ago in range(DAYS)} == set(days)
    assert 15 * DAYS < len(days) < 40 * DAYS
    free = {day for day in days if day.weekday() >= 5}
    busy = set(days) - free
    assert sum(day in free for day in days) / len(free) > sum(day in busy for day in days) / len(
        busy
    )
    assert sum(each.hour >= 18 for each in sent) > 0.7 * len(sent)


def test_its_answers_are_as_the_station_gives_them(sample: Path) -> None:
    statuses = dict(rows(sample, "SELECT llm_status, count(*) FROM answers GROUP BY 1"))
    assert statuses.keys() == {"used", "partial", "unavailable"}
    assert statuses["used"] > 0.8 * sum(statuses.values())
    [[answers, picks]] = rows(
        sample, "SELECT count(DISTINCT answer_id), count(*) FROM answer_picks"
    )
    assert picks == 10 * answers == 10 * sum(statuses.values())
    [named] = rows(
        sample,
        "SELECT sum(sources ->> 'llm' IS NOT NULL), sum(sources ->> 'context' IS NOT NULL), "
        "sum(sources ->> 'catalogue' IS NOT NULL) FROM answer_picks",
    )
    assert min(named) > answers
    # Some choose nothing, most of the others what they were shown, the first more than the last.
    [[chosen]] = rows(sample, "SELECT count(DISTINCT answer_id) FROM logs")
    assert 0.4 * answers < chosen < 0.9 * answers
    taken = "SELECT count(*) FROM logs JOIN answer_picks USING (answer_id, film_key) WHERE position"
    [[first]], [[last]] = rows(sample, f"{taken} <= 2"), rows(sample, f"{taken} > 8")
    assert first > 2 * last > 0


def test_readings_are_wrong_at_times_and_put_right_by_hand(sample: Path) -> None:
    sources = dict(rows(sample, "SELECT mood_source, count(*) FROM answers GROUP BY 1"))
    assert sources.keys() == {"hand", "words", "face"}
    corrected = rows(
        sample,
        "SELECT read.mood_source, read.context ->> 'mood', said.context ->> 'mood', "
        "said.mood_source, (SELECT mood FROM logs WHERE answer_id = said.id) "
        "FROM answers said JOIN answers read ON read.id = said.corrects",
    )
    read = sources["words"] + sources["face"]
    assert 0.05 * read < len(corrected) < 0.3 * read
    for source, took_for, said, by, chosen_in in corrected:
        assert (source in ("words", "face"), by) == (True, "hand")
        assert took_for != said
        assert chosen_in in (said, None)


def test_the_model_is_learned_every_fortnight_and_beats_popularity_in_the_end(sample: Path) -> None:
    learned = rows(
        sample, "SELECT made_at, rows, hit10, popularity_hit10 FROM trainings ORDER BY id"
    )
    assert [datetime.fromisoformat(each[0]).date() for each in learned] == [
        NOW.date() - timedelta(DAYS - 14),
        NOW.date() - timedelta(DAYS - 28),
    ]
    assert learned[0][1] < learned[1][1]
    assert learned[1][2] > learned[1][3]


def test_the_same_seed_makes_the_same(tmp_path: Path) -> None:
    made = []
    # A whole day and most of another: tastes drift from one to the other.
    until = NOW + timedelta(days=1, hours=19)
    for seed in (1, 1, 2):
        demo.load(Instance(tmp_path), 2, seed, until)
        made.append(dump(Instance(tmp_path).sample))
    assert made[0] == made[1] != made[2]


def test_the_commands_make_it_and_take_it_away(
    cli: FlaskCliRunner, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_PER_DAY", (3, 4))
    own = instance / "moodflix.sqlite3"
    before = own.read_bytes()
    done = cli.invoke(args=["demo", "load", "--days", "7"])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    [[choices]] = rows(Instance(instance).sample, "SELECT count(*) FROM logs")
    assert done.stdout == (
        f"{choices} sample choices of 7 days: see them at /dashboard?sample=1, "
        "delete them by flask demo remove.\n"
    )
    # A file that stands alone may be replaced while somebody reads it.
    assert sorted(each.name for each in instance.iterdir()) == ["demo.sqlite3", own.name]
    assert own.read_bytes() == before
    for said in ("The sample data are gone.\n", "There were no sample data.\n"):
        assert cli.invoke(args=["demo", "remove"]).stdout == said
        assert list(instance.iterdir()) == [own]


def test_a_load_that_ends_early_leaves_what_was_there(instance: Path) -> None:
    def ends(days: Iterable[int]) -> Iterator[int]:
        yield next(iter(days))
        raise KeyboardInterrupt

    place = Instance(instance).sample
    place.write_bytes(b"the one before")
    before = set(instance.iterdir())
    with pytest.raises(KeyboardInterrupt):
        demo.load(Instance(instance), 7, 1, NOW, ends)
    assert set(instance.iterdir()) == before
    assert place.read_bytes() == b"the one before"


def test_a_folder_that_cannot_be_written_is_said_in_a_line(cli: FlaskCliRunner, app: Any) -> None:
    app.instance_path = "/proc/none"
    failed = cli.invoke(args=["demo", "load"])
    assert failed.exit_code == 1
    assert re.fullmatch(r"Error: sample data can't be changed: .+\n", failed.stderr), failed.stderr
