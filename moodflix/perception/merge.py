"""Merges the readings of words, faces and voice to one mood and tone; a label set by hand wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moodflix import vocabulary
from moodflix.perception.wishes import Understanding
from moodflix.perception.words import Reading, named_mood
from moodflix.perception.worker import MediaWorker
from moodflix.vocabulary import FACE, HAND, LLM, NONE, VOICE, WORDS

if TYPE_CHECKING:
    from moodflix.requests import InferenceRequest

#: Below this confidence a mood or tone is unknown: ``neutral``, its source ``none``.
MIN_CONFIDENCE: Final = 0.35
# The LLM doesn't report its confidence.
_LLM_CONFIDENCE = 0.5
_NOT_SENT = Reading(missing="not_sent")
# A voice alone doesn't tell joy from anger, or calm from grief: tone and mood -> tone.
_SPECIFIC_TONES = {
    ("excited", "happy"): "happy",
    ("excited", "angry"): "angry",
    ("subdued", "sad"): "sad",
}
_worker = MediaWorker()


class Estimate(NamedTuple):
    """A label, the signal that it comes from, and its confidence, 0 to 1."""

    label: str = vocabulary.NEUTRAL
    source: str = NONE
    confidence: float = 0.0

    def with_mood(self, mood: Estimate) -> Estimate:
        """Return this tone, made more specific where it comes from a voice and the mood fits."""
        label = _SPECIFIC_TONES.get((self.label, named_mood(mood.label) or ""))
        if self.source != VOICE or label is None:
            return self
        return Estimate(label, VOICE, min(self.confidence, mood.confidence))


@dataclass(frozen=True)
class Perceived:
    """Mood and tone, and the reading of each signal (hand, words, face, voice)."""

    mood: Estimate
    tone: Estimate
    signals: Mapping[str, Reading] = field(default_factory=dict)

    def with_llm_reading(self, mood: str | None, tone: str | None) -> Perceived:
        """Fill in what is still unknown from the LLM's reading of the words."""
        filled = self
        if self.mood.source == NONE and mood is not None:
            llm_mood = Estimate(mood, LLM, _LLM_CONFIDENCE)
            filled = replace(filled, mood=llm_mood, tone=self.tone.with_mood(llm_mood))
        if self.tone.source == NONE and tone is not None:
            filled = replace(filled, tone=Estimate(tone, LLM, _LLM_CONFIDENCE))
        return filled

    def as_context(self) -> dict[str, str]:
        """Return mood and tone as context columns; blank where unknown."""
        columns = {"mood": self.mood, "tone": self.tone}
        return {
            name: "" if estimate.source == NONE else estimate.label
            for name, estimate in columns.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Return the ``perceived`` object of an answer."""
        return {
            "mood": _rounded(self.mood._asdict()),
            "tone": _rounded(self.tone._asdict()),
            **{name: _signal_json(name, reading) for name, reading in self.signals.items()},
        }


def perceive(request: InferenceRequest, words: Understanding) -> Perceived:
    """Read frames and clip, wait for that, and merge everything."""
    sent = request.images or request.audio
    return merge(request, words, _worker.read(request.images, request.audio) if sent else {})


def merge(
    request: InferenceRequest, words: Understanding, media: Mapping[str, Reading]
) -> Perceived:
    """Merge labels set by hand, the reading of the words, and those of frames and clip.

    Scores of words and face are added, weighted by their confidence; the mood is the one with the
    highest sum. A neutral signal counts only if the other is neutral or absent too. The mood's
    confidence is ``agree * (1 - disagree / 2)``: the highest confidence of the signals that have
    this mood, and of those that have another.

    The tone is the voice's; its confidence is its score times the confidence of the voice. With a
    mood that fits, ``excited`` becomes ``happy`` or ``angry``, and ``subdued`` becomes ``sad``.

    Below ``MIN_CONFIDENCE`` mood and tone are ``neutral``.
    """
    by_hand = {label: 1.0 for label in (request.mood, request.tone) if label}
    signals = {
        HAND: Reading(by_hand, 1.0) if by_hand else _NOT_SENT,
        WORDS: words.mood if request.text else _NOT_SENT,
        FACE: _NOT_SENT,
        VOICE: _NOT_SENT,
        **media,
    }
    mood, tone = (Estimate(label, HAND, 1.0) for label in (request.mood, request.tone))
    if not request.mood:
        mood = _mood({name: signals[name] for name in (WORDS, FACE)})
    if not request.tone:
        voice = signals[VOICE]
        confidence = voice.confidence * max(voice.scores.values(), default=0)
        estimate = Estimate(voice.label or vocabulary.NEUTRAL, VOICE, confidence)
        tone = _if_confident(estimate).with_mood(mood)
    return Perceived(mood, tone, signals)


def _mood(signals: Mapping[str, Reading]) -> Estimate:
    """Return the mood of the signals that aren't neutral, or else of those that are."""
    neutral = {name: read for name, read in signals.items() if read.label == vocabulary.NEUTRAL}
    mood = _weighted_mood({name: read for name, read in signals.items() if name not in neutral})
    return _weighted_mood(neutral) if mood.source == NONE else mood


def _weighted_mood(signals: Mapping[str, Reading]) -> Estimate:
    sums = dict.fromkeys(vocabulary.MOODS, 0.0)
    for read in signals.values():
        for label, score in read.scores.items():
            sums[label] += read.confidence * score
    best = max(sums, key=lambda label: sums[label])
    agreeing = [(read.confidence, name) for name, read in signals.items() if read.label == best]
    disagreeing = [read.confidence for read in signals.values() if read.label != best]
    agree, source = max(agreeing, default=(0.0, NONE))
    disagree = max(disagreeing, default=0.0)
    return _if_confident(Estimate(best, source, agree * (1 - disagree / 2)))


def _if_confident(estimate: Estimate) -> Estimate:
    return estimate if estimate.confidence >= MIN_CONFIDENCE else Estimate()


def _signal_json(name: str, read: Reading) -> dict[str, Any]:
    shown = {"scores": _rounded(read.scores), "confidence": round(read.confidence, 3)}
    shown["missing"] = read.missing
    if name == WORDS and not (read.scores or read.missing):
        shown["missing"] = "no_mood"
    if name == FACE:
        shown |= {"frames": [], "read": 0}
    if name == VOICE:
        shown |= {"clips": int(read != _NOT_SENT), "read": int(bool(read.scores))}
    return shown | dict(read.details)


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }
