"""Days and hours are those of the station's time zone, and no clock that is wrong moves them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from moodflix import clock
from moodflix.requests import LogRow
from moodflix.store import answers, stats
from moodflix.store.answers import StoredAnswer, StoredPick
from moodflix.store.database import Database
from tests.conftest import MakeApp

SEOUL, NEW_YORK = (clock.named_zone(name) for name in ("Asia/Seoul", "America/New_York"))
FIRST = datetime(1, 1, 1, tzinfo=timezone.utc)
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
NIGHT = datetime(2026, 3, 8, 5, tzinfo=timezone.utc)


def test_a_moment_is_told_by_the_stations_clock() -> None:
    assert clock.local(NIGHT, SEOUL).isoformat() == "2026-03-08T14:00:00+09:00"
    assert clock.local(NIGHT, NEW_YORK).isoformat() == "2026-03-08T00:00:00-05:00"
    assert clock.local(NIGHT, None) == NIGHT


@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK, None])
@pytest.mark.parametrize("moment", [FIRST, LAST])
def test_the_ends_of_time_have_a_day(zone: None, moment: datetime) -> None:
    assert clock.local(moment, zone).year == moment.year


def test_a_day_may_be_an_hour_short() -> None:
    began, ended = (clock.start_of(date(2026, 3, day), NEW_YORK) for day in (8, 9))
    assert began == NIGHT
    assert ended - began == timedelta(hours=23)


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [("Asia/Seoul", "2026-03-09", 0), ("America/New_York", "2026-03-08", 11)],
)
def test_a_choice_counts_on_the_day_of_the_setting(
    make_app: MakeApp, zone: str, day: str, hour: int
) -> None:
    app = make_app(timezone=zone)
    sent = {"movieTitle": "Minari", "clientSentAt": "2026-03-08T15:30:00Z", "mood": "sad"}
    assert app.test_client().post("/inference/log", json=sent).status_code == 200
    data = "/dashboard/data/{}?from=2026-03-08&to=2026-03-09"
    found = {
        name: app.test_client().get(data.format(name)).get_json()["rows"]
        for name in ("choices", "hours")
    }
    assert found["choices"] == [[day, 1]]
    assert [row[1] for row in found["hours"]] == [hour]


def test_another_time_zone_takes_effect_with_a_rebuild(make_app: MakeApp) -> None:
    sent = {"movieTitle": "Minari", "clientSentAt": "2026-03-08T15:30:00Z"}
    assert (
        make_app(timezone="UTC").test_client().post("/inference/log", json=sent).status_code == 200
    )
    app = make_app(timezone="Asia/Seoul")
    done = app.test_cli_runner().invoke(args=["stats", "rebuild"])
    assert done.output == "The sums are those of 1 choices and their answers.\n"
    assert app.test_client().get("/dashboard/data/choices").get_json()["rows"] == [
        ["2026-03-09", 1]
    ]


@pytest.mark.parametrize("sent", ["2099-06-01T12:00:00Z", "2.025E+13", "9999-12-31T23:59:59Z"])
def test_a_wrong_clock_counts_by_when_it_was_received(
    make_app: MakeApp, tmp_path: Path, sent: str
) -> None:
    app = make_app(timezone="UTC")
    client = app.test_client()
    today = datetime.now(timezone.utc).date()
    body = {"movieTitle": "Minari", "clientSentAt": sent, "mood": "sad"}
    assert client.post("/inference/log", json=body).status_code == 200
    old = tmp_path / "old.csv"
    old.write_text(f"{sent},,,,,,,,,sad,,Minari\n2019-05-01T12:00:00Z,,,,,,,,,sad,,Mother\n")
    assert app.test_cli_runner().invoke(args=["logs", "import", str(old)]).exit_code == 0
    shown = client.get("/dashboard/data/choices?days=all").get_json()
    assert shown["first"] == "2019-05-01"
    assert shown["rows"][0] == ["2019-05-01", 1]
    assert today <= date.fromisoformat(shown["last"]) <= today + timedelta(days=1)
    # The row of the file is the one that was logged.
    assert sum(row[1] for row in shown["rows"]) == 2
    sent_back = client.get("/inference/log").get_json()
    assert sent_back[0]["clientSentAt"] == sent


def test_days_end_today_though_a_clock_is_ahead(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_app(timezone="UTC").test_client()
    monkeypatch.setattr(clock, "today", lambda _zone: date(2026, 3, 8))
    for day in (8, 9):
        body = {"movieTitle": "Minari", "clientSentAt": f"2026-03-0{day}T12:00:00Z"}
        assert client.post("/inference/log", json=body).status_code == 200
    shown = client.get("/dashboard/data/choices").get_json()
    assert (shown["last"], shown["rows"]) == ("2026-03-08", [["2026-03-08", 1]])


def test_the_doctor_names_sums_of_another_time_zone(make_app: MakeApp) -> None:
    client = make_app(timezone="UTC").test_client()
    assert client.post("/inference/log", json={"movieTitle": "Minari"}).status_code == 200
    line = "the dashboard's are partly of days in another time zone: UTC"
    for zone, is_named in (("UTC", False), ("Asia/Seoul", True)):
        runner = make_app(timezone=zone, llm="embedded").test_cli_runner()
        assert (line in runner.invoke(args=["doctor"]).output) == is_named
    runner.invoke(args=["stats", "rebuild"])
    assert line not in runner.invoke(args=["doctor"]).output


def test_acceptance_is_a_share_though_the_time_zone_changed(database: Database) -> None:
    here = Database(str(database.engine.url), zone=timezone.utc)
    moved = Database(str(database.engine.url), zone=SEOUL)
    # The first is of the 9th only in Seoul.
    for name, hours in (("first", 10.5), ("second", 20)):
        at = NIGHT + timedelta(hours=hours)
        pick = StoredPick("nowhere at all", "Nowhere At All", None, {"llm": 1})
        answer = StoredAnswer(name, at, {}, "none", "none", "used", {}, 1.0, None, [pick])
        here.commit(partial(answers.record, answer=answer))
        row = LogRow(movie_title="Nowhere At All")
        moved.commit(partial(answers.log_choice, row=row, now=at, inference_id=name))
    with moved.read() as session:
        rows = stats.table(session, "acceptance", date(2026, 3, 9), date(2026, 3, 9)).rows
    assert [row[:5] for row in rows] == [
        (by, k, 1, 1, 1.0) for by in ("list", "llm") for k in (1, 3, 5)
    ]
    here.close()
    moved.close()
