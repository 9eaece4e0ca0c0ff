from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp

BODY = {"mood": "sad", "seed": 3, "limit": 5}


def movies(client: FlaskClient) -> list[str]:
    titles: list[str] = client.post("/inference", json=BODY).get_json()["movies"]
    return titles


def choose(client: FlaskClient, title: str, days_ago: float) -> None:
    moment = datetime.now(timezone.utc) - timedelta(days=days_ago)
    body = {"movieTitle": title, "clientSentAt": moment.isoformat()}
    assert client.post("/inference/log", json=body).status_code == 200


def test_what_was_chosen_lately_is_held_back(make_app: MakeApp) -> None:
    client = make_app(repeat_days=7).test_client()
    first, second, third = movies(client)[:3]
    choose(client, first.upper(), 6.5)
    choose(client, second, 7.5)
    choose(client, third, -3)  # by a clock that is ahead
    now = movies(client)
    assert first not in now
    assert third not in now
    assert second in now
    assert len(now) == 5


def test_it_holds_nothing_back_unless_told_to(client: FlaskClient) -> None:
    before = movies(client)
    choose(client, before[0], 0)
    assert before[0] in movies(client)


@pytest.mark.parametrize("days", [1, 365])
def test_held_back_films_are_not_held_back_from_the_log(make_app: MakeApp, days: int) -> None:
    client = make_app(repeat_days=days).test_client()
    choose(client, "Mother", 0)
    choose(client, "Mother", 0)
    logged = client.get("/inference/log").get_json()
    assert [row["movieTitle"] for row in logged] == ["Mother", "Mother"]
