from __future__ import annotations

from collections.abc import Sequence

import pytest
from flask.testing import FlaskClient

from moodflix.store import logs
from moodflix.store.database import Database
from tests.learning import choose, settle


def learned_rows(database: Database) -> list[dict[str, str]]:
    with database.read() as session:
        return [row for contexts, _ in logs.choices(session) for row in contexts]


# What was asked (None: no answer is named), the mood of the log, whether it counts.
SAID: list[tuple[dict[str, str] | None, str, bool]] = [
    # Nobody said a mood: the station's neutral is made up.
    ({}, "neutral", False),
    ({}, " Neutral ", False),
    ({}, "sad", True),
    ({"mood": "neutral"}, "neutral", True),
    ({"mood": "sad"}, "neutral", True),
    ({"text": "I feel so sad and lonely"}, "neutral", True),
    (None, "neutral", False),
    (None, "sad", True),
    (None, "calm", True),
]


def test_a_neutral_mood_counts_only_if_somebody_said_it(
    client: FlaskClient, database: Database
) -> None:
    for asked, echoed, _ in SAID:
        named = {}
        if asked is not None:
            named["inferenceId"] = client.post("/inference", json=asked).get_json()["inferenceId"]
        choose(client, "A Film Of Ours", mood=echoed, **named)
    settle()
    assert [row["mood"] for row in learned_rows(database)] == [
        echoed if counts else "" for _, echoed, counts in SAID
    ]
    logged = client.get("/inference/log").get_json()
    assert [row["mood"] for row in logged] == [echoed for _, echoed, _ in SAID]


def test_a_neutral_tone_counts_only_if_somebody_said_it(
    client: FlaskClient, database: Database
) -> None:
    for tone in ("neutral", ""):
        answer = client.post("/inference", json={"tone": tone} if tone else {}).get_json()
        # Old front-ends name no answer; the film is in the newest one's list.
        choose(client, answer["movies"][0], mood=answer["mood"], tone=answer["tone"])
    settle()
    assert [row["tone"] for row in learned_rows(database)] == ["neutral", ""]
    assert [row["mood"] for row in learned_rows(database)] == ["", ""]


def test_it_learns_in_the_order_in_which_choices_were_made(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that is ahead does not put a choice after those that arrive later.
    sent = {"C": "2025-03-01", "D": "2199-01-01", "E": "", "A": "2025-01-01", "B": "2025-02-01"}
    for title, moment in sent.items():
        choose(client, title, clientSentAt=moment)
    settle()

    def titles(**bounds: int) -> Sequence[str]:
        with database.read() as session:
            return [title for _, chosen in logs.choices(session, **bounds) for title in chosen]

    assert titles() == ["A", "B", "C", "D", "E"]
    assert titles(until=3) == ["C", "D", "E"]
    # What is new comes as it arrived.
    assert titles(after=2) == ["E", "A", "B"]
    monkeypatch.setattr(logs, "_BATCH", 2)
    with database.read() as session:
        assert [len(chosen) for _, chosen in logs.choices(session)] == [2, 2, 1]
