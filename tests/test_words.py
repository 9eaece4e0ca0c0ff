from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import vocabulary
from moodflix.perception.words import Reading, named_mood, read_moods, split

# Sentences in English and Korean with the mood a reader gives them. Half of them were put aside
# before the lexicon was written and are not looked at when it is edited.
SENTENCES = Path(__file__).with_name("sentences.csv")


def read(text: str) -> Reading:
    return read_moods(split(text))


def mood(text: str) -> str | None:
    """The mood that a text names; a plain "I am fine" names none."""
    label = read(text).label
    return None if label == vocabulary.NEUTRAL else label


@pytest.mark.parametrize("name", vocabulary.MOODS)
def test_a_mood_stands_for_itself(name: str) -> None:
    assert vocabulary.mood(f" {name.upper()} ") == name
    assert named_mood(name) == name


@pytest.mark.parametrize("name", vocabulary.VOICE_TONES)
def test_a_tone_stands_for_itself(name: str) -> None:
    assert vocabulary.tone(f" {name.title()} ") == name


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
    assert vocabulary.mood(label) == expected


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
    assert vocabulary.tone(label) == expected


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
        ("기분이 안 좋아", "sad"),
        ("기분이 좋지 않아요", "sad"),
        ("기분이 좋은 건 아니야", "sad"),
        ("좋은 일이 없어", "sad"),
        ("화가 나지 않아", None),
        ("마음이 아프지 않아", None),
        ("의욕이 없어", "sad"),
        ("어이가 없네", "angry"),
        ("not again 😡", "angry"),
        ("안 왔어 ㅠㅠ", "sad"),
        ("nothing violent, sad or scary", None),
        ("무서운 건 싫어", None),
        ("공포는 빼줘", None),
        ("", None),
    ],
)
def test_it_reads_a_mood_in_a_sentence(text: str, expected: str | None) -> None:
    assert mood(text) == expected


def misread(half: str) -> tuple[list[tuple[str, str]], int]:
    with SENTENCES.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["half"] == half]
    found = [(row["text"], mood(row["text"]) or "neutral", row["mood"]) for row in rows]
    return [(text, got) for text, got, expected in found if got != expected], len(rows)


def test_it_reads_nearly_every_sentence_of_the_open_half() -> None:
    wrong, read_in_all = misread("open")
    assert read_in_all >= 120
    assert len(wrong) <= 0.03 * read_in_all, wrong


def test_it_reads_most_sentences_that_were_held_back() -> None:
    wrong, read_in_all = misread("held-back")
    assert read_in_all >= 100
    # Which ones stays untold, so that nobody fits the lexicon to them.
    assert len(wrong) <= 0.06 * read_in_all


@pytest.mark.parametrize(
    ("surer", "than"),
    [
        ("I'm very sad", "I'm sad"),
        ("I'm sad", "I'm a bit sad"),
        ("lonely and sad", "sad"),
        ("sad", "sad and happy"),
        ("I'm happy", "I'm not happy"),
        ("정말 우울해", "우울해"),
        ("sad 😢", "sad"),
    ],
)
def test_it_says_how_sure_it_is(surer: str, than: str) -> None:
    assert read(surer).confidence > read(than).confidence > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I was sad, but now I'm happy", "happy"),
        ("행복했지만 지금은 슬퍼", "sad"),
        ("happy, however angry", "angry"),
    ],
)
def test_what_follows_a_but_counts_more(text: str, expected: str) -> None:
    scores = read(text).scores
    assert scores[expected] == max(scores.values())
    assert sum(scores.values()) == pytest.approx(1)
    assert scores[expected] > 0.65


@pytest.mark.parametrize("text", ["", "dinosaurs", "a horror film", "좋아하는 배우", "good", "not"])
def test_words_without_a_mood_have_no_scores(text: str) -> None:
    assert read(text) == Reading()


def test_a_neutral_that_was_said_is_not_the_same_as_nothing() -> None:
    found = read("I'm okay")
    assert found.label == vocabulary.NEUTRAL
    assert found.confidence > 0.4


@pytest.mark.parametrize("text", ["sad " * 5_000, "I " * 10_000, "“" * 20_000, "슬" * 50_000])
def test_a_long_text_is_read_too(text: str) -> None:
    assert read(text).label == ("sad" if text.startswith("sad") else None)


def test_the_lexicon_says_only_what_the_code_knows() -> None:
    markers = {"not", "degree", "but", "clause", "self", "wish", "film", "nothing"}
    known = {*vocabulary.MOODS, "", *markers}
    for entry in vocabulary.lexicon():
        assert entry.mood in known, entry
        assert entry.tone in {*vocabulary.VOICE_TONES, ""}, entry
        assert entry.language in {"en", "ko", "sign"}, entry
        assert 0 <= entry.weight <= 1.5, entry
        assert entry.stem.strip() == entry.stem
    stems = [entry.stem for entry in vocabulary.lexicon()]
    assert len(set(stems)) == len(stems)


@given(st.text())
def test_any_text_is_a_mood_or_none(text: str) -> None:
    assert mood(text) in {*vocabulary.MOODS, None} - {vocabulary.NEUTRAL}
    assert named_mood(text) in {*vocabulary.MOODS, None}
    assert vocabulary.tone(text) in {*vocabulary.VOICE_TONES, None}


@given(st.lists(st.sampled_from([e.stem.strip("*$") for e in vocabulary.lexicon()]), max_size=12))
def test_scores_of_any_words_are_shares_and_confidence_a_probability(stems: list[str]) -> None:
    scored = read(" ".join(stems))
    assert 0 <= scored.confidence < 1
    assert scored.scores.keys() <= set(vocabulary.MOODS)
    assert (scored.confidence > 0) == bool(scored.scores)
    assert sum(scored.scores.values()) == pytest.approx(1.0 if scored.scores else 0.0)
