from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import vocabulary
from moodflix.perception.merge import MIN_CONFIDENCE, Estimate, Perceived, merge
from moodflix.perception.wishes import understand
from moodflix.perception.words import Reading
from moodflix.requests import InferenceRequest
from moodflix.vocabulary import FACE, VOICE

SAD, VERY_SAD, CALM_WORDS = "I feel sad", "I am so sad and lonely", "I feel fine"


def read(face: Reading | None = None, voice: Reading | None = None, **request: str) -> Perceived:
    media = {name: each for name, each in ((FACE, face), (VOICE, voice)) if each}
    words = understand(request.get("text", ""))
    return merge(InferenceRequest.model_validate(request), words, media)


def looks(mood: str, confidence: float) -> Reading:
    """What the face nets say: the rest is spread over the other moods."""
    rest = (1 - confidence) / (len(vocabulary.MOODS) - 1)
    return Reading(dict.fromkeys(vocabulary.MOODS, rest) | {mood: confidence}, confidence)


def sounds(tone: str, score: float = 0.9, confidence: float = 0.8) -> Reading:
    rest = (1 - score) / 2
    return Reading({"excited": rest, "subdued": rest, "neutral": rest, tone: score}, confidence)


def test_nothing_sent_is_a_neutral_that_nobody_said() -> None:
    seen = read()
    assert seen.mood == seen.tone == Estimate("neutral", "none", 0)
    assert {name: each.missing for name, each in seen.signals.items()} == dict.fromkeys(
        ("hand", "words", "face", "voice"), "not_sent"
    )


def test_a_label_given_by_hand_wins_and_is_passed_through() -> None:
    seen = read(looks("happy", 0.9), sounds("excited"), text=SAD, mood="nostalgic", tone="hoarse")
    assert seen.mood == ("nostalgic", "hand", 1)
    assert seen.tone == ("hoarse", "hand", 1)
    assert seen.signals["hand"].scores == {"nostalgic": 1, "hoarse": 1}


@pytest.mark.parametrize(
    ("text", "face", "mood", "source"),
    [
        ("", looks("happy", 0.5), "happy", "face"),
        (SAD, None, "sad", "words"),
        (SAD, looks("sad", 0.8), "sad", "face"),
        (SAD, looks("happy", 0.5), "sad", "words"),
        (SAD, looks("happy", 0.95), "happy", "face"),
        (VERY_SAD, looks("happy", 0.7), "sad", "words"),
        # Most people look calm at a screen, whatever they feel.
        (SAD, looks("neutral", 0.95), "sad", "words"),
        (CALM_WORDS, looks("sad", 0.6), "sad", "face"),
        (CALM_WORDS, looks("sad", 0.3), "neutral", "words"),
        ("", looks("neutral", 0.6), "neutral", "face"),
        # Not sure enough: imputed.
        ("", looks("happy", 0.34), "neutral", "none"),
        ("", looks("neutral", 0.34), "neutral", "none"),
        ("", Reading(missing="no_face"), "neutral", "none"),
        ("boats", Reading(missing="extra_missing"), "neutral", "none"),
    ],
)
def test_words_and_face_are_merged_by_confidence(
    text: str, face: Reading | None, mood: str, source: str
) -> None:
    merged = read(face, text=text).mood
    assert (merged.label, merged.source) == (mood, source)


def test_one_signal_alone_is_as_sure_as_it_says() -> None:
    assert read(looks("surprise", 0.71)).mood.confidence == 0.71
    words = read(text=SAD)
    assert words.mood.confidence == words.signals["words"].confidence


def test_contradiction_makes_less_sure_and_a_calm_face_does_not() -> None:
    sure = read(text=SAD).mood.confidence
    assert read(looks("happy", 0.5), text=SAD).mood.confidence == pytest.approx(sure * 0.75)
    assert read(looks("neutral", 0.9), text=SAD).mood.confidence == sure
    assert read(looks("sad", 0.4), text=SAD).mood.confidence == sure


@pytest.mark.parametrize(
    ("voice", "mood", "tone"),
    [
        ("excited", "", "excited"),
        ("excited", "happy", "happy"),
        ("excited", "angry", "angry"),
        ("excited", "furious", "angry"),
        ("excited", "sad", "excited"),
        ("excited", "nostalgic", "excited"),
        ("subdued", "", "subdued"),
        ("subdued", "sad", "sad"),
        ("subdued", "happy", "subdued"),
        ("neutral", "happy", "neutral"),
    ],
)
def test_another_signal_says_if_an_aroused_voice_is_glad(voice: str, mood: str, tone: str) -> None:
    assert tuple(read(voice=sounds(voice), mood=mood).tone) == (tone, "voice", pytest.approx(0.72))


@pytest.mark.parametrize(
    ("face", "text", "tone"),
    [
        (looks("happy", 0.9), "", "happy"),
        (None, "I am furious", "angry"),
        (looks("happy", 0.3), "", "excited"),
    ],
)
def test_the_signal_beside_the_voice_may_be_face_or_words(
    face: Reading | None, text: str, tone: str
) -> None:
    assert read(face, sounds("excited"), text=text).tone.label == tone


def test_a_tone_that_two_signals_tell_is_as_sure_as_the_less_sure() -> None:
    seen = read(looks("happy", 0.5), sounds("excited"))
    assert seen.tone == ("happy", "voice", 0.5)


@pytest.mark.parametrize(
    "voice",
    [
        sounds("excited", 0.9, 0.3),
        sounds("excited", 0.45, 0.7),
        Reading({"neutral": 1.0}, 0.0, "too_noisy"),
        Reading(missing="bad_audio"),
    ],
)
def test_a_voice_that_is_not_sure_says_nothing(voice: Reading) -> None:
    assert read(looks("happy", 0.9), voice).tone == ("neutral", "none", 0)


def test_the_llm_fills_in_only_what_is_unknown() -> None:
    unknown = read(text="boats")
    assert unknown.with_llm_reading(None, None) == unknown
    filled = unknown.with_llm_reading("sad", "subdued")
    assert (filled.mood, filled.tone) == (("sad", "llm", 0.5), ("subdued", "llm", 0.5))
    known = read(looks("happy", 0.6), sounds("subdued"))
    assert known.with_llm_reading("sad", "excited") == known


def test_the_mood_that_the_llm_reads_says_if_an_aroused_voice_is_glad() -> None:
    seen = read(voice=sounds("excited"), text="boats").with_llm_reading("angry", "sad")
    assert seen.tone == ("angry", "voice", 0.5)


def test_words_without_a_mood_say_so() -> None:
    assert read(text="a film with boats").as_json()["words"] == {
        "scores": {}, "confidence": 0, "missing": "no_mood"
    }  # fmt: skip


SCORES = st.floats(0, 1)
FACES = st.builds(
    lambda scores, confidence: Reading(
        dict(zip(vocabulary.MOODS, scores, strict=True)), confidence
    ),
    st.lists(SCORES, min_size=7, max_size=7),
    SCORES,
)
VOICES = st.builds(
    lambda scores, confidence: Reading(
        dict(zip(("excited", "subdued", "neutral"), scores, strict=True)), confidence
    ),
    st.lists(SCORES, min_size=3, max_size=3),
    SCORES,
)


@given(face=FACES, voice=VOICES, text=st.sampled_from(["", SAD, VERY_SAD, CALM_WORDS]))
def test_what_is_not_sure_is_a_neutral_that_nobody_said(
    face: Reading, voice: Reading, text: str
) -> None:
    seen: Perceived = read(face, voice, text=text)
    assert seen.mood.label in vocabulary.MOODS
    assert seen.tone.label in vocabulary.VOICE_TONES
    for estimate in (seen.mood, seen.tone):
        known = MIN_CONFIDENCE <= estimate.confidence <= 1
        assert known or estimate == Estimate("neutral", "none", 0)
        assert known == (estimate.source != "none")
