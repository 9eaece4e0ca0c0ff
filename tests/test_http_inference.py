from __future__ import annotations

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodflix.films import shipped, titles
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama

FRAME = base64.b64encode(b"\xff\xd8\xff\xe0 not really a jpeg").decode()
DOCUMENTED = {"movies", "primary_llm", "mood", "tone"}
BESIDE = {"inferenceId", "picks", "llm", "perceived", "warnings"}


def ask(client: FlaskClient, body: Any) -> dict[str, Any]:
    answered = client.post("/inference", json=body)
    assert answered.status_code == 200, answered.text
    got: dict[str, Any] = answered.get_json()
    return got


def test_an_empty_object_is_a_request(client: FlaskClient) -> None:
    got = ask(client, {})
    assert got.keys() == DOCUMENTED | BESIDE
    assert "recommendations" not in got
    assert len(got["movies"]) == 10
    assert all(isinstance(title, str) and title for title in got["movies"])
    assert got["primary_llm"] == []
    assert (got["mood"], got["tone"]) == ("neutral", "neutral")
    assert got["warnings"] == []
    assert got["llm"] == {
        "status": "off",
        "model": None,
        "detail": got["llm"]["detail"],
        "seconds": 0,
    }


def test_picks_stand_for_the_movies_in_their_order(client: FlaskClient) -> None:
    got = ask(client, {"mood": "sad", "limit": 20})
    assert [pick["title"] for pick in got["picks"]] == got["movies"]
    for pick in got["picks"]:
        shown = {"title", "year", "known", "explore", "score", "sources", "why"}
        assert pick.keys() == shown | {"genres", "runtime", "original_title"}
        film = shipped.find(pick["title"], pick["year"])
        assert film is not None
        assert (pick["genres"], pick["runtime"]) == (list(film.genres), film.runtime)
        assert 1880 < pick["year"] < 2100
        assert pick["known"] is True
        assert pick["sources"]
        assert all(rank >= 1 for rank in pick["sources"].values())
        assert pick["why"].endswith((".", "!", "?"))


def test_the_llm_is_answered_beside_the_others(make_app: MakeApp, ollama: FakeOllama) -> None:
    got = ask(make_app(llm="auto").test_client(), {"limit": 5})
    assert got["primary_llm"] == ["Paterson", "Mother", "Parasite"]
    assert set(got["primary_llm"]) < set(got["movies"])
    assert got["llm"]["status"] == "used"
    assert got["llm"]["model"] == "llama3.2:3b"
    assert (got["mood"], got["tone"]) == ("sad", "subdued")
    assert got["perceived"]["mood"] == {"label": "sad", "source": "llm", "confidence": 0.5}
    assert got["picks"][0]["sources"]["llm"] >= 1


def test_it_answers_without_the_llm_and_says_so(make_app: MakeApp) -> None:
    got = ask(make_app(llm="auto").test_client(), {})
    assert got["primary_llm"] == []
    assert len(got["movies"]) == 10
    assert got["llm"]["status"] == "unavailable"
    assert got["llm"]["detail"]


@pytest.mark.parametrize("limit", [1, 50, "7", 7.0])
def test_it_gives_as_many_as_asked(client: FlaskClient, limit: Any) -> None:
    assert len(ask(client, {"limit": limit})["movies"]) == int(limit)


@pytest.mark.parametrize("limit", [0, 51, -1, 1.5, "many", True, [], None, 10**30])
def test_it_refuses_other_limits(client: FlaskClient, limit: Any) -> None:
    answered = client.post("/inference", json={"limit": limit})
    assert answered.status_code == 400
    assert [each["field"] for each in answered.get_json()["details"]] == ["limit"]


@pytest.mark.parametrize(
    ("body", "mood", "source"),
    [
        ({"mood": "nostalgic", "text": "so angry"}, "nostalgic", "hand"),
        ({"mood": " Wistful ", "text": "so angry"}, "Wistful", "hand"),
        ({"mood": "", "text": "I am so angry"}, "angry", "words"),
        ({"mood": None, "text": "오늘 너무 우울해요"}, "sad", "words"),
        ({"text": "a film with boats"}, "neutral", "none"),
        ({"mood": "neutral", "text": "so angry"}, "neutral", "hand"),
    ],
)
def test_a_mood_given_by_hand_wins_over_words(
    client: FlaskClient, body: Any, mood: str, source: str
) -> None:
    got = ask(client, body)
    assert got["mood"] == mood
    read = got["perceived"]["mood"]
    assert (read["label"], read["source"]) == (mood, source)


def test_a_tone_given_by_hand_passes_through(client: FlaskClient) -> None:
    got = ask(client, {"tone": "whispering"})
    assert got["tone"] == "whispering"
    assert got["perceived"]["tone"] == {"label": "whispering", "source": "hand", "confidence": 1}


def test_a_hand_label_wins_over_the_llm(make_app: MakeApp, ollama: FakeOllama) -> None:
    got = ask(make_app(llm="auto").test_client(), {"mood": "happy"})
    assert (got["mood"], got["tone"]) == ("happy", "subdued")


def test_what_a_person_feels_changes_what_comes(client: FlaskClient) -> None:
    lists = [ask(client, {"mood": mood})["movies"] for mood in ("happy", "sad", "angry", "fear")]
    assert len({tuple(each) for each in lists}) == 4


@pytest.mark.parametrize("field", ["movies", "exclude"])
def test_named_films_never_come_back_in_any_spelling(client: FlaskClient, field: str) -> None:
    first = ask(client, {"mood": "sad", "limit": 5})["movies"]
    spellings = [
        first[0].upper(),
        f'"""{first[1]}"""',
        f"{first[2]} (1999)",
        f"  {first[3].lower()}  ",
        f"The {first[4]}",
    ]
    again = ask(client, {"mood": "sad", "limit": 50, field: spellings})["movies"]
    named = {titles.key(title) for title in first}
    assert len(again) == 50
    assert named.isdisjoint(titles.key(title) for title in again)


def test_excluded_films_hold_for_the_llm_too(make_app: MakeApp, ollama: FakeOllama) -> None:
    client = make_app(llm="auto").test_client()
    got = ask(client, {"movies": ["PATERSON"], "exclude": ["mother (2009)"], "limit": 50})
    assert got["primary_llm"] == ["Parasite"]
    assert {"Paterson", "Mother"}.isdisjoint(got["movies"])


def test_the_documented_example_is_answered(client: FlaskClient) -> None:
    body = {
        "movies": ["A Taxi Driver", "Minari", "Mother"],
        "primary_llm": [],
        "mood": "happy",
        "tone": "happy",
    }
    got = ask(client, body)
    assert (got["mood"], got["tone"]) == ("happy", "happy")
    keys = {titles.key(title) for title in body["movies"]}
    assert keys.isdisjoint(titles.key(title) for title in got["movies"])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.fixed_dictionaries(
        {},
        optional={
            "mood": st.sampled_from(["happy", "sad", "angry", "bored"]),
            "text": st.sampled_from(["funny", "korean drama", "not happy", "비 오는 밤"]),
            "environment": st.fixed_dictionaries(
                {"temperature": st.integers(-20, 40)}, optional={"weather_desc": st.just("rain")}
            ),
            "limit": st.integers(1, 50),
        },
    )
)
def test_no_film_is_named_twice(client: FlaskClient, body: dict[str, Any]) -> None:
    movies = ask(client, body)["movies"]
    assert len(movies) == body.get("limit", 10)
    assert len({titles.key(title) for title in movies}) == len(movies)


@pytest.mark.parametrize(
    ("images", "frames"),
    [
        (FRAME, 1),
        ([FRAME] * 20, 20),
        ([FRAME] * 64, 64),
        (f"data:image/jpeg;base64,{FRAME}", 1),
        ([FRAME, None, ""], 1),
        (None, 0),
        ("", 0),
        ([], 0),
    ],
)
def test_it_takes_frames_in_every_form(client: FlaskClient, images: Any, frames: int) -> None:
    got = ask(client, {"images": images})
    face = got["perceived"]["face"]
    assert (face["scores"], face["confidence"], face["frames"], face["read"]) == ({}, 0, [], 0)
    # Whether they were damaged can only be told where the nets are installed.
    assert face["missing"] in (("bad_image", "extra_missing") if frames else ("not_sent",))
    assert face.get("dropped", min(frames, 8)) == min(frames, 8)
    assert got["warnings"] == []


@pytest.mark.parametrize(
    ("audio", "clips"),
    [(FRAME, 1), (f"data:audio/webm;base64,{FRAME}", 1), (None, 0), ("", 0), ([], 0)],
)
def test_it_takes_a_clip_in_every_form(client: FlaskClient, audio: Any, clips: int) -> None:
    got = ask(client, {"audio": audio})
    missing = "bad_audio" if clips else "not_sent"
    assert got["perceived"]["voice"] == {
        "scores": {}, "confidence": 0, "missing": missing, "clips": clips, "read": 0
    }  # fmt: skip
    assert got["warnings"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"images": [FRAME] * 65}, "images"),
        ({"images": [FRAME, {}]}, "images.1"),
        ({"audio": {"data": FRAME}}, "audio"),
        ({"mood": ["sad"]}, "mood"),
        ({"tone": "x" * 201}, "tone"),
        ({"text": "x" * 2001}, "text"),
        ({"movies": ["x" * 301]}, "movies.0"),
        ({"exclude": ["fine", {}]}, "exclude.1"),
    ],
)
def test_it_names_the_field_that_cannot_be_taken(
    client: FlaskClient, body: Any, field: str
) -> None:
    answered = client.post("/inference", json=body)
    assert answered.status_code == 400
    [problem] = answered.get_json()["details"]
    assert problem["field"] == field
    assert problem["message"]
    assert field in answered.get_json()["error"]


def test_blank_titles_are_absent(client: FlaskClient) -> None:
    assert ask(client, {"movies": ["", None, " "], "exclude": ""})["warnings"] == []


def test_unknown_fields_are_ignored(client: FlaskClient) -> None:
    body = {"session": {"id": 7}, "recommendations": [], "environment": {"moon": "full"}}
    assert ask(client, body)["warnings"] == []


@pytest.mark.parametrize("name", ["environment", "env"])
def test_the_environment_goes_by_two_names(client: FlaskClient, name: str) -> None:
    got = ask(client, {name: {"lat": "north", "temperature": 21}})
    assert [each.split(":")[0] for each in got["warnings"]] == ["environment.lat"]


@pytest.mark.parametrize(
    "environment",
    [
        None,
        {},
        {"city": None, "lat": None, "temperature": "", "weekday": " "},
        {"city": "Seoul", "lat": "37.5", "lon": -122.1, "temperature": "22 °C", "weekday": "수"},
        {"weather_desc": "light rain", "today_status": "work", "tomorrow_status": "holiday"},
    ],
)
def test_what_can_be_read_of_the_evening_needs_no_warning(
    client: FlaskClient, environment: Any
) -> None:
    assert ask(client, {"environment": environment})["warnings"] == []


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"weather_desc": "laoading"}, "environment.weather_desc"),
        ({"today_status": "loading"}, "environment.today_status"),
        ({"city": "undefined"}, "environment.city"),
        ({"city": "x" * 201}, "environment.city"),
        ({"city": ["Seoul"]}, "environment.city"),
        ({"lat": 91}, "environment.lat"),
        ({"lon": "nan"}, "environment.lon"),
        ({"lat": True}, "environment.lat"),
        ({"temperature": "warm"}, "environment.temperature"),
        ({"temperature": 300}, "environment.temperature"),
        ({"weekday": "someday"}, "environment.weekday"),
        ("rain", "environment"),
        ([1], "environment"),
    ],
)
def test_what_cannot_be_read_is_a_warning_that_names_it(
    client: FlaskClient, environment: Any, named: str
) -> None:
    [warning] = ask(client, {"environment": environment})["warnings"]
    assert warning.startswith(f"{named}: ")
    assert warning.endswith("counted as unknown")


def test_one_unreadable_value_leaves_the_others(client: FlaskClient) -> None:
    rain = {"weather_desc": "heavy rain", "temperature": 4}
    read = ask(client, {"environment": rain})
    beside = ask(client, {"environment": rain | {"lat": "north", "weekday": "?"}})
    assert len(beside["warnings"]) == 2
    assert beside["movies"] == read["movies"]
    assert beside["movies"] != ask(client, {})["movies"]
