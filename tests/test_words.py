from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import moods
from moodflix.perception import words


@pytest.mark.parametrize("name", moods.MOODS)
def test_a_mood_stands_for_itself(name: str) -> None:
    assert moods.mood(f" {name.upper()} ") == name
    assert words.canonical_mood(name) == name


@pytest.mark.parametrize("name", moods.TONES)
def test_a_tone_stands_for_itself(name: str) -> None:
    assert moods.tone(f" {name.title()} ") == name


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("nostalgic", "sad"),
        ("Joyful", "happy"),
        ("stressed", "fear"),
        ("calm", "neutral"),
        ("우울", "sad"),
        ("우울해요", "sad"),
        ("슬프다", "sad"),
        ("슬픔", "sad"),
        ("기쁨", "happy"),
        ("신났어", "happy"),
        ("행복해", "happy"),
        ("화났어요", "angry"),
        ("무섭다", "fear"),
        ("놀랐어", "surprise"),
        ("역겹다", "disgust"),
        ("피곤해", "neutral"),
        ("zzz", None),
        ("", None),
        (None, None),
    ],
)
def test_it_knows_the_words_for_moods(label: str | None, expected: str | None) -> None:
    assert moods.mood(label) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("calm", "subdued"),
        ("Energetic", "excited"),
        ("차분해", "subdued"),
        ("zzz", None),
        (None, None),
    ],
)
def test_it_knows_the_words_for_tones(label: str | None, expected: str | None) -> None:
    assert moods.tone(label) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I feel so lonely tonight", "sad"),
        ("what an AMAZED, happy, happy day", "happy"),
        ("happy at first, then sad", "sad"),
        ("오늘 너무 우울해요", "sad"),
        ("기분이 슬프다", "sad"),
        ("정말 행복한 하루", "happy"),
        ("I'm not sad", None),
        ("I'm not very happy", "sad"),
        ("I don\u2019t feel happy", "sad"),
        ("안 행복해", "sad"),
        ("우울하지 않아", None),
        ("행복하지 않아", "sad"),
        ("I'm not tired, just happy", "happy"),
        ("not angry but sad", "sad"),
        ("It doesn't make me happy", "sad"),
        ("I haven't been happy lately", "sad"),
        ("피곤하지만 행복해", "happy"),
        ("좋아하는 배우가 나오는 영화", None),
        ("a good film, that would be great", None),
        ("I am tired", None),
        ("something with dinosaurs", None),
        ("", None),
    ],
)
def test_it_reads_a_mood_in_a_sentence(text: str, expected: str | None) -> None:
    assert words.mood(text) == expected


@given(st.text())
def test_any_text_is_a_mood_or_none(text: str) -> None:
    assert words.mood(text) in {*moods.MOODS, None} - {moods.NEUTRAL}
    assert words.canonical_mood(text) in moods.MOODS
    assert moods.tone(text) in {*moods.TONES, None}
