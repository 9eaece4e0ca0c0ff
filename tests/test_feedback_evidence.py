from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.recommend.learned.model import ChoiceModel
from moodflix.requests import CONTEXT
from moodflix.store import feedback, logs
from moodflix.store.database import Database
from tests.learning import model_of, trainer_of

ME, YOU = "visitor-1", "visitor-2"
UNKNOWN = dict.fromkeys(CONTEXT, "")


def say(client: FlaskClient, verdict: str, title: str, visitor: str = ME, **more: Any) -> None:
    body = {"visitor": visitor, "movieTitle": title, "verdict": verdict} | more
    assert client.post("/inference/feedback", json=body).status_code == 200


def choose(client: FlaskClient, title: str, **more: Any) -> None:
    assert client.post("/inference/log", json={"movieTitle": title} | more).status_code == 200


def answer(client: FlaskClient, **body: Any) -> str:
    inference_id: str = client.post("/inference", json=body | {"limit": 1}).get_json()[
        "inferenceId"
    ]
    return inference_id


def learned(database: Database) -> list[tuple[str, str, float]]:
    """Mood, title and weight of each row to learn from."""
    with database.read() as session:
        return [
            (context["mood"], title, weight)
            for batch in feedback.evidence(session, logs.choices(session))
            for context, title, weight in zip(*batch, strict=True)
        ]


def test_a_love_is_a_choice_in_the_context_of_its_answer(
    client: FlaskClient, database: Database
) -> None:
    env = {"city": "Seoul", "weekday": "Friday", "temperature": 3}
    asked = answer(client, mood="sad", environment=env)
    choose(client, "Ran", mood="happy")
    say(client, "loved", "Ikiru", inferenceId=asked)
    say(client, "loved", "Tampopo")
    with database.read() as session:
        loves, choices = feedback.evidence(session, logs.choices(session))
    wanted = UNKNOWN | {"mood": "sad", "city": "Seoul", "weekday": "Friday", "temperature": "3.0"}
    assert loves == ([wanted, UNKNOWN], ["Ikiru", "Tampopo"], [1.0, 1.0])
    assert choices[1:] == (["Ran"], [1.0])


def test_a_mood_that_nobody_said_is_not_learned_from_a_love(
    client: FlaskClient, database: Database
) -> None:
    say(client, "loved", "Ikiru", inferenceId=answer(client))
    assert learned(database) == [("", "Ikiru", 1.0)]


def test_a_dislike_takes_back_one_choice_in_its_mood(
    client: FlaskClient, database: Database
) -> None:
    for mood in ("happy", "Sad", "sad", "sad"):
        choose(client, '"RAN"' if mood == "Sad" else "Ran", mood=mood)
    choose(client, "Ikiru", mood="sad")
    asked = answer(client, mood="sad")
    for visitor in (ME, YOU):
        say(client, "disliked", "Ran", visitor, inferenceId=asked)
        say(client, "disliked", "A Film Nobody Chose", visitor, inferenceId=asked)
    assert learned(database) == [
        ("happy", "Ran", 1.0),
        ("Sad", '"RAN"', 0.0),
        ("sad", "Ran", 0.0),
        ("sad", "Ran", 1.0),
        ("sad", "Ikiru", 1.0),
    ]
    say(client, "none", "Ran")
    assert [weight for *_, weight in learned(database)] == [1.0, 0.0, 1.0, 1.0, 1.0]


def test_a_dislike_takes_nothing_back_in_another_mood(
    client: FlaskClient, database: Database
) -> None:
    choose(client, "Ran", mood="happy")
    say(client, "disliked", "Ran", inferenceId=answer(client, mood="sad"))
    say(client, "not-tonight", "Ran", YOU)
    assert learned(database) == [("happy", "Ran", 1.0)]


def test_a_dislike_of_no_known_mood_takes_back_the_oldest_choice(
    client: FlaskClient, database: Database
) -> None:
    for mood in ("happy", "sad"):
        choose(client, "Ran", mood=mood)
    say(client, "disliked", "Ran")
    assert [weight for *_, weight in learned(database)] == [0.0, 1.0]


def test_the_model_learns_from_loves_and_dislikes(client: FlaskClient, database: Database) -> None:
    for title in ("Ran", "Ran", "Ikiru"):
        choose(client, title)
    say(client, "disliked", "Ran")
    say(client, "loved", "Ikiru", YOU)
    say(client, "loved", "Tampopo")
    with database.read() as session:
        model = ChoiceModel().fit_stream(feedback.evidence(session, logs.choices(session)))
    assert model.rows == 4
    shares = dict(model.ranking({}))
    assert shares == pytest.approx({"Ran": 0.25, "Ikiru": 0.5, "Tampopo": 0.25})


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_it_exports_the_verdicts_that_hold(
    client: FlaskClient, cli: FlaskCliRunner, tmp_path: Path
) -> None:
    before = datetime.now(timezone.utc)
    asked = answer(client)
    say(client, "loved", "기생충", inferenceId=asked)
    say(client, "not-tonight", '=A1, "quoted"', "-visitor-2")
    say(client, "loved", "Ran")
    say(client, "none", "Ran")
    printed = cli.invoke(args=["feedback", "export"])
    assert printed.exit_code == 0, printed.output
    header, first, second = rows(printed.stdout)
    assert header == ["saidAt", "visitor", "movieTitle", "verdict", "inferenceId"]
    assert before <= datetime.fromisoformat(first[0]) <= datetime.fromisoformat(second[0])
    assert first[1:] == [ME, "기생충", "loved", asked]
    assert second[1:] == ["-visitor-2", '=A1, "quoted"', "not-tonight", ""]
    path = tmp_path / "said.csv"
    done = cli.invoke(args=["feedback", "export", str(path)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"Exported 2 verdicts to {path}.\n"
    assert path.read_bytes().decode() == printed.stdout
    safe = cli.invoke(args=["feedback", "export", "-", "--spreadsheet-safe"])
    assert rows(safe.stdout)[2][1:3] == ["'-visitor-2", '\'=A1, "quoted"']


def test_an_export_that_fails_is_one_line_and_leaves_the_old_file(
    client: FlaskClient, cli: FlaskCliRunner, database: Database, tmp_path: Path
) -> None:
    say(client, "loved", "Ran")
    missing = cli.invoke(args=["feedback", "export", str(tmp_path / "none" / "said.csv")])
    path = tmp_path / "said.csv"
    path.write_text("old")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE feedback")
    broken = cli.invoke(args=["feedback", "export", str(path)])
    for done in (missing, broken):
        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.glob("*said.csv*")] == ["said.csv"]


def test_training_learns_loves_and_takes_disliked_choices_back(
    client: FlaskClient, cli: FlaskCliRunner
) -> None:
    for title in ("Ran", "Yi Yi"):
        choose(client, title)
    say(client, "loved", "Ikiru")
    say(client, "disliked", "Yi Yi", visitor=YOU)
    done = cli.invoke(args=["model", "train"])
    assert done.exit_code == 0, done.output
    trainer_of(client.application).learn()
    assert {title for title, _ in model_of(client.application).top({}, 9)} == {"Ran", "Ikiru"}
