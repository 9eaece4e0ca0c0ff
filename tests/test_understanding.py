"""A person's words are read once per question, and everybody uses the same reading."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient

from moodflix.perception import wishes, words
from moodflix.perception.wishes import understand
from moodflix.recommend.query import Query

TEXT = "I feel lonely, a comedy about food maybe, nothing scary, 100 minutes"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is read of the text, by reader."""
    counted: Counter[str] = Counter()
    for name, module in (("split", words), ("read_moods", words), ("read", wishes)):
        function = getattr(module, name)

        def count(text: Any, function: Any = function) -> Any:
            written = text if isinstance(text, str) else text.written
            counted[f"{function.__module__}.{function.__name__}"] += TEXT in written
            return function(text)

        monkeypatch.setattr(module, name, count)
        # The other readers' name for it.
        monkeypatch.setattr(wishes, name, count)
    return counted


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_question_reads_the_words_once(
    client: FlaskClient, readings: Counter[str], accept: str
) -> None:
    answer = client.post("/inference", json={"text": TEXT}, headers={"Accept": accept})
    assert answer.status_code == 200
    assert "food, which you mentioned" in answer.text
    assert dict(readings) == {
        "moodflix.perception.words.split": 1,
        "moodflix.perception.words.read_moods": 1,
        "moodflix.perception.wishes.read": 1,
    }


def test_mood_and_wishes_come_from_one_reading() -> None:
    found = understand(TEXT)
    assert found.text == TEXT
    assert found.mood.label == "sad"
    assert found.wishes.themes() >= {"food"}
    assert found.wishes.unwanted["genre:horror"] < 0
    assert found.wishes.max_minutes == 100


def test_a_label_in_ones_own_words_is_a_wish_but_no_second_mood() -> None:
    found = understand("about trains", "homesick for the sea")
    assert found.wishes.themes() >= {"trains", "sea"}
    assert not found.mood.scores
    assert understand("about trains", "sad") == understand("about trains")


@pytest.mark.parametrize(
    ("text", "limits", "expected"),
    [
        ("90 minutes with the kids", {}, ("auto", 90, "older-kids")),
        ("90 minutes", {"max_minutes": 120}, ("auto", 90, None)),
        ("two hours", {"max_minutes": 90}, ("auto", 90, None)),
        ("with the kids", {"family": "all"}, ("auto", None, "all")),
        ("with the kids", {"family": "adults"}, ("auto", None, "older-kids")),
        ("cheer me up", {}, ("lift", None, None)),
        ("cheer me up", {"intent": "stay"}, ("stay", None, None)),
    ],
)
def test_a_query_keeps_the_limits_in_its_words(
    text: str, limits: dict[str, Any], expected: tuple[object, ...]
) -> None:
    query = Query(words=understand(text), **limits)
    assert (query.intent, query.max_minutes, query.family) == expected
