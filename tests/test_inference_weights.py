from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from moodflix.recommend.fusion import PRIORS
from moodflix.station import Station
from moodflix.store import answers
from moodflix.store.database import Database
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama


def choose(client: FlaskClient, source: str, seed: int, *, times: int = 1) -> None:
    """Ask, and take the first film that a recommender named."""
    got = client.post("/inference", json={"seed": seed, "mood": "sad"}).get_json()
    taken = next(pick["title"] for pick in got["picks"] if source in pick["sources"])
    for _ in range(times):
        log(client, taken, got["inferenceId"])


def log(client: FlaskClient, title: str, answer: str | None = None) -> None:
    body: dict[str, Any] = {"movieTitle": title, "inferenceId": answer}
    assert client.post("/inference/log", json=body).status_code == 200


def station(app: Flask) -> Station:
    found: Station = app.extensions["moodflix.station"]
    return found


@pytest.fixture
def two(make_app: MakeApp, ollama: FakeOllama) -> Flask:
    """A station with a catalogue and an LLM that names its own films."""
    return make_app(llm="auto", llm_style="free")


def test_what_people_choose_weighs_more(two: Flask) -> None:
    client = two.test_client()
    for seed in range(12):
        choose(client, "llm", seed)
    station(two).refit_weights()
    weights = station(two).weights()
    assert weights["llm"] > 1 > weights["catalogue"]


def test_films_nobody_was_shown_change_nothing(two: Flask) -> None:
    client = two.test_client()
    client.post("/inference", json={})
    for _ in range(5):
        log(client, "A Film of Ours")
    station(two).refit_weights()
    weights = station(two).weights()
    assert (weights["llm"], weights["catalogue"]) == (PRIORS["llm"], PRIORS["catalogue"])


def test_one_answer_is_one_choice_however_often_it_is_logged(
    two: Flask, database: Database
) -> None:
    client = two.test_client()
    choose(client, "llm", 1, times=30)
    choose(client, "catalogue", 2)
    with database.read() as session:
        shown = answers.choice_sets(session, 100)
    assert len(shown) == 2
    for sources, place in shown:
        assert len(sources) == 10
        assert sources[place]


def test_only_the_newest_answers_are_looked_at(two: Flask, database: Database) -> None:
    client = two.test_client()
    for seed in range(4):
        choose(client, "llm", seed)
    client.post("/inference", json={})
    with database.read() as session:
        assert [len(answers.choice_sets(session, n)) for n in (0, 1, 2, 100)] == [0, 0, 1, 4]


def test_the_context_model_weighs_by_its_evidence(app: Flask, client: FlaskClient) -> None:
    weights = []
    for _ in range(3):
        for _ in range(5):
            log(client, "Mother")
        app.extensions["moodflix.trainer"].learn()
        weights.append(station(app).weights()["context"])
    assert 0 < weights[0] < weights[1] < weights[2] < 1


def test_learned_weights_change_the_list(two: Flask) -> None:
    client = two.test_client()

    def places() -> list[int]:
        got = client.post("/inference", json={"seed": 77, "mood": "sad"}).get_json()
        return [at for at, pick in enumerate(got["picks"]) if "llm" in pick["sources"]]

    before = places()
    for seed in range(15):
        choose(client, "llm", seed)
    station(two).refit_weights()
    assert sum(places()) < sum(before)
