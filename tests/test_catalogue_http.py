from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from moodflix.films import shipped
from tests.conftest import MakeApp
from tests.server import ROOT


def picks(client: FlaskClient, **body: Any) -> list[shipped.ShippedFilm]:
    answered = client.post("/inference", json=body)
    assert answered.status_code == 200, answered.text
    found = [shipped.find(pick["title"], pick["year"]) for pick in answered.get_json()["picks"]]
    return [film for film in found if film]


def test_the_limits_of_a_request_hold(client: FlaskClient) -> None:
    found = picks(client, mood="surprise", family="all", maxMinutes=95, limit=30)
    assert len(found) == 30
    assert {film.family for film in found} == {"all"}
    assert max(film.runtime for film in found) <= 95


def test_limits_in_words_bind_what_others_chose(make_app: MakeApp) -> None:
    app = make_app()
    client = app.test_client()
    for _ in range(60):
        assert client.post("/inference/log", json={"movieTitle": "Oldboy"}).status_code == 200
    app.extensions["moodflix.trainer"].learn()
    assert "Oldboy" in {film.title for film in picks(client, text="something tense", seed=1)}
    found = picks(client, text="movie night with the kids, 100 minutes", seed=1, limit=20)
    assert {film.family for film in found} <= {"all", "older-kids"}
    assert max(film.runtime for film in found) <= 100
    # A direction set by hand is more than one in the words.
    asked = {"mood": "sad", "text": "a good cry", "seed": 1}
    lifted, stayed = (picks(client, **asked, intent=way) for way in ("lift", "stay"))
    assert sum(film.darkness for film in lifted) < sum(film.darkness for film in stayed)


def test_the_direction_of_a_request_moves_the_list(client: FlaskClient) -> None:
    lifted, stayed = (picks(client, mood="sad", intent=way) for way in ("lift", "stay"))
    assert sum(film.darkness for film in lifted) < sum(film.darkness for film in stayed)


def test_a_seed_brings_the_same_films_and_another_others(client: FlaskClient) -> None:
    assert picks(client, mood="sad", seed=3) == picks(client, mood="sad", seed="3")
    assert picks(client, mood="sad", seed=3) != picks(client, mood="sad", seed=4)


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_blank_fields_are_absent(client: FlaskClient, blank: str | None) -> None:
    fields = ("intent", "maxMinutes", "family", "seed")
    assert picks(client, mood="sad", **dict.fromkeys(fields, blank)) == picks(client, mood="sad")


@pytest.mark.parametrize(
    ("field", "bad", "said"),
    [
        ("intent", "up", "must be 'lift', 'stay' or 'auto'"),
        ("intent", 1, "must be 'lift', 'stay' or 'auto'"),
        ("maxMinutes", 19, "must be at least 20"),
        ("maxMinutes", 601, "must be at most 600"),
        ("maxMinutes", "long", "must be a whole number"),
        ("maxMinutes", True, "must be a number"),
        ("family", "kids", "must be 'all', 'older-kids', 'teens' or 'adults'"),
        ("seed", "x", "must be a whole number"),
        ("seed", 1.5, "must be a whole number"),
        ("seed", 2**63, "must be less than 9223372036854775808"),
    ],
)
def test_a_bad_field_is_named(client: FlaskClient, field: str, bad: object, said: str) -> None:
    answered = client.post("/inference", json={field: bad})
    assert answered.status_code == 400
    assert answered.get_json()["details"] == [{"field": field, "message": said}]


def test_the_pages_are_what_the_command_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "docs/make.py", tmp_path], cwd=ROOT, check=True)
    for page in ("policy.md", "evenings.md"):
        made = (tmp_path / page).read_text(encoding="utf-8")
        assert made == (ROOT / "docs" / page).read_text(encoding="utf-8"), "run: make docs"
