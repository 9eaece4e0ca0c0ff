from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timezone, tzinfo
from typing import Any

import pytest
from flask.testing import FlaskClient

from moodflix import vocabulary
from moodflix.films import shipped, titles
from moodflix.perception.wishes import understand
from moodflix.recommend.query import Query
from moodflix.requests import Language
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama, answer, says
from tests.sentences import LANGUAGES, check

CHOSEN = ("Tampopo", "Mother", "Parasite", "A Film of Ours", "Tokyo Story", "Paterson")
MOODS = ("sad", "행복", "angry", "neutral", "flibbertigibbet", "")
WEATHERS = ("light rain", "눈", "Clear sky", "fog", "laoading")
WEEKDAYS = ("Friday", "토요일", "mon", "")
NOW = datetime(2026, 1, 5, 20, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hour asks for is claimed too."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return NOW.astimezone(tz)

    monkeypatch.setattr("moodflix.web.inference.datetime", Clock)


def evening_of(context: dict[str, str] | None = None, words: str = "") -> Query:
    """The evening as the station sees it."""
    local = NOW.astimezone()
    return Query(context or {}, local.hour, understand(words), date=local.date().isoformat())


def log(client: FlaskClient, title: str, **env: str) -> None:
    body = {"movieTitle": title, "mood": env.pop("mood", ""), "env": env}
    assert client.post("/inference/log", json=body).status_code == 200


def ask(client: FlaskClient, body: Any, **headers: str) -> dict[str, Any]:
    answered = client.post("/inference", json=body, headers=headers)
    assert answered.status_code == 200, answered.text
    got: dict[str, Any] = answered.get_json()
    return got


def occasions(client: FlaskClient) -> dict[str, Counter[str]]:
    """How often each film was chosen in which word, counted from the log by hand."""
    found: dict[str, Counter[str]] = {}
    for row in client.get("/inference/log?limit=10000").get_json():
        words = {
            vocabulary.mood(row["mood"]),
            vocabulary.weather(row["weather_desc"]),
            vocabulary.weekday(row["weekday"]),
        } - {None, "neutral"}
        found.setdefault(titles.key(row["movieTitle"]), Counter()).update(
            ["", *filter(None, words)]
        )
    return found


def test_every_reason_holds_on_many_evenings(make_app: MakeApp) -> None:
    app = make_app()
    client = app.test_client()
    rng = random.Random(5)
    kinds: Counter[str] = Counter()
    for _ in range(4):
        for _ in range(20):
            log(
                client,
                rng.choice(CHOSEN),
                mood=rng.choice(MOODS),
                weather_desc=rng.choice(WEATHERS),
                weekday=rng.choice(WEEKDAYS),
            )
        app.extensions["moodflix.trainer"].learn()
        chosen = occasions(client)
        for _ in range(5):
            env = {"weather_desc": rng.choice(WEATHERS), "weekday": rng.choice(WEEKDAYS)}
            body: dict[str, Any] = {
                "mood": rng.choice(MOODS),
                "text": rng.choice(["", "food please", "under 2 hours"]),
                "env": env,
                "seed": rng.randrange(99),
                "limit": 20,
                "language": rng.choice(LANGUAGES),
            }
            for pick in ask(client, body)["picks"]:
                known = {
                    name: "" if text.strip().casefold() in vocabulary.PLACEHOLDERS else text
                    for name, text in env.items()
                }
                query = evening_of({"mood": body["mood"], **known}, body["text"])
                counts = chosen.get(titles.key(pick["title"]), Counter())
                film = shipped.find(pick["title"], pick["year"])
                claims = check(pick["why"], body["language"], query, film, counts)
                assert ("count" in claims) == bool(counts), pick
                kinds.update(claims)
    assert kinds.keys() >= {"count", "mood", "like", "named", "themes", "minutes", "light"}


def test_counts_follow_choices_and_imports_at_once(client: FlaskClient) -> None:
    def sentence() -> str:
        picks = ask(client, {"limit": 50, "seed": 1})["picks"]
        [why] = [pick["why"] for pick in picks if pick["title"] == title]
        text: str = why
        return text

    title = ask(client, {"limit": 50, "seed": 1})["movies"][0]
    assert "chosen" not in sentence()
    log(client, title)
    assert "chosen once at this station" in sentence()
    log(client, title.upper())
    assert "chosen twice at this station" in sentence()


@pytest.mark.parametrize(
    ("body", "header", "language"),
    [
        ({}, None, "en"),
        ({}, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ({}, "de-DE,de;q=0.9", "en"),
        ({}, "de,ko;q=0.5", "ko"),
        ({"language": "ko"}, "en", "ko"),
        ({"language": "KO_kr"}, None, "ko"),
        ({"language": "en-US"}, "ko", "en"),
        ({"language": None}, "ko", "ko"),
        ({"language": " "}, "ko", "ko"),
    ],
)
def test_reasons_come_in_the_language_asked_for(
    client: FlaskClient, body: dict[str, Any], header: str | None, language: Language
) -> None:
    headers = {"Accept-Language": header} if header else {}
    for pick in ask(client, body, **headers)["picks"]:
        film = shipped.find(pick["title"], pick["year"])
        check(pick["why"], language, evening_of(), film, {})


@pytest.mark.parametrize("language", ["fr", 7, ["ko"], True])
def test_a_language_it_does_not_speak_is_refused_by_name(
    client: FlaskClient, language: Any
) -> None:
    answered = client.post("/inference", json={"language": language})
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == ["language"]


def test_the_llm_is_quoted_in_both_languages(make_app: MakeApp, ollama: FakeOllama) -> None:
    films = [{"title": "Tampopo", "year": 1985, "why": "Noodles in the rain."}]
    ollama.then(says(answer(films)), says(answer(films)))
    client = make_app(llm="auto").test_client()
    for language, quoted in (("en", "the LLM says: “"), ("ko", "이며, LLM은 이렇게 말합니다: “")):
        picks = ask(client, {"mood": "happy", "language": language})["picks"]
        [tampopo] = [pick for pick in picks if pick["title"] == "Tampopo"]
        assert tampopo["why"].endswith(f"{quoted}Noodles in the rain.”")
        others = [pick for pick in picks if "llm" not in pick["sources"]]
        assert not any("LLM" in pick["why"] for pick in others)


def test_one_of_ten_is_explored_and_stays_the_same_all_evening(client: FlaskClient) -> None:
    body = {"mood": "sad", "text": "something warm", "env": {"city": "Seoul"}}
    first = ask(client, body)["picks"]
    assert [pick["explore"] for pick in first].count(True) == 1
    assert not any(pick["explore"] for pick in first[:3])
    [with_exploration] = [pick for pick in first if pick["explore"]]
    # It stands deeper in every list than those that would be shown.
    assert all(rank > 10 for rank in with_exploration["sources"].values())
    assert ask(client, body)["picks"] == first


def test_exploring_takes_no_film_of_the_llm_away(make_app: MakeApp, ollama: FakeOllama) -> None:
    client = make_app(llm="ollama").test_client()
    for seed in range(6):
        got = ask(client, {"seed": seed, "limit": 5})
        assert set(got["primary_llm"]) <= set(got["movies"])
