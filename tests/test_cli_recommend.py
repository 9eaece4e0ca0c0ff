from __future__ import annotations

import json
from datetime import datetime, timezone, tzinfo

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama

EVENING = ["--mood", "sad", "--weather", "rain", "--text", "food, please", "--seed", "5"]


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request and the command after it have the same evening."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 1, 5, 20, tzinfo=timezone.utc).astimezone(tz)

    for module in ("web.inference", "cli.recommend"):
        monkeypatch.setattr(f"moodflix.{module}.datetime", Clock)


def test_it_prints_the_list_a_request_would_get(client: FlaskClient, cli: FlaskCliRunner) -> None:
    body = {"mood": "sad", "env": {"weather_desc": "rain"}, "text": "food, please", "seed": 5}
    got = client.post("/inference", json=body).get_json()
    done = cli.invoke(args=["recommend", *EVENING])
    assert done.exit_code == 0, done.output
    for place, pick in enumerate(got["picks"], start=1):
        assert f"{place:2}. {pick['title']} ({pick['year']})\n    {pick['why']}\n" in done.output
        assert f"score {pick['score']:.3f}: catalogue {pick['sources']['catalogue']}" in done.output
    assert done.output.count(", explored\n") == 1
    assert "Weights: llm 1, context 0, catalogue 1. LLM: off." in done.output


def test_it_prints_json(client: FlaskClient, cli: FlaskCliRunner) -> None:
    done = cli.invoke(args=["recommend", *EVENING, "--limit", "3", "--language", "ko", "--json"])
    printed = json.loads(done.stdout)
    body = {"mood": "sad", "env": {"weather_desc": "rain"}, "text": "food, please", "seed": 5}
    got = client.post("/inference", json={**body, "limit": 3, "language": "ko"}).get_json()
    assert printed["picks"] == got["picks"]
    assert printed["inferenceId"] is None
    assert printed["weights"] == {"llm": 1, "context": 0, "catalogue": 1}


def test_it_stores_nothing(cli: FlaskCliRunner, database: Database) -> None:
    cli.invoke(args=["recommend", *EVENING])
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM answers").scalar() == 0


def test_it_takes_limits_and_films_to_go_by(client: FlaskClient, cli: FlaskCliRunner) -> None:
    args = "--like Tampopo --like Paterson --max-minutes 100 --family teens --intent lift".split()
    done = cli.invoke(args=["recommend", *args, "--limit", "4", "--seed", "1", "--json"])
    body = {"movies": ["Tampopo", "Paterson"], "maxMinutes": 100, "family": "teens"}
    got = client.post("/inference", json={**body, "intent": "lift", "limit": 4, "seed": 1})
    assert json.loads(done.stdout)["movies"] == got.get_json()["movies"]


def test_it_learns_from_the_log_before_it_answers(client: FlaskClient, cli: FlaskCliRunner) -> None:
    for _ in range(15):
        client.post("/inference/log", json={"movieTitle": "A Film of Ours"})
    done = cli.invoke(args=["recommend", "--limit", "50"])
    assert "A Film of Ours\n    Chosen 15 times at this station.\n" in done.output
    assert "context 0.429" in done.output


def test_it_names_the_llm(make_app: MakeApp, ollama: FakeOllama) -> None:
    runner = make_app(llm="auto").test_cli_runner()
    assert "LLM: used." in runner.invoke(args=["recommend"]).output


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["--limit", "99"], "limit"),
        (["--family", "dogs"], "family"),
        (["--intent", "up"], "intent"),
    ],
)
def test_it_refuses_what_a_request_would_refuse(
    cli: FlaskCliRunner, args: list[str], field: str
) -> None:
    done = cli.invoke(args=["recommend", *args])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {field}: ")
    assert done.output.count("\n") == 1
