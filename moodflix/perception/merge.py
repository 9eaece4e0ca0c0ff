"""Merges what was perceived; a label set by hand wins."""

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
# The LLM reports none of its own.
_LLM_CONFIDENCE = 0.5
_NOT_SENT = Reading(missing="not_sent")
# A voice alone doesn't tell joy from anger, nor calm from grief.
_SUPPORTED = {
    ("excited", "happy"): "happy",
    ("excited", "angry"): "angry",
    ("subdued", "sad"): "sad",
}
_worker = MediaWorker()


class Judged(NamedTuple):
    """A label, the signal that decided on it, and how sure that is, 0 to 1."""

    label: str = vocabulary.NEUTRAL
    source: str = NONE
    confidence: float = 0.0

    def with_mood(self, mood: Judged) -> Judged:
        """Return this tone, made more specific where it is a voice's and another's mood fits."""
        label = _SUPPORTED.get((self.label, named_mood(mood.label) or ""))
        if self.source != VOICE or label is None:
            return self
        return Judged(label, VOICE, min(self.confidence, mood.confidence))


@dataclass(frozen=True)
class Perceived:
    """Mood and tone, and the reading of each signal (hand, words, face, voice)."""

    mood: Judged
    tone: Judged
    signals: Mapping[str, Reading] = field(default_factory=dict)

    def with_llm_reading(self, mood: str | None, tone: str | None) -> Perceived:
        """Fill in what is still unknown from the LLM's reading of the words."""
        read = self
        if self.mood.source == NONE and mood is not None:
            found = Judged(mood, LLM, _LLM_CONFIDENCE)
            read = replace(read, mood=found, tone=self.tone.with_mood(found))
        if self.tone.source == NONE and tone is not None:
            read = replace(read, tone=Judged(tone, LLM, _LLM_CONFIDENCE))
        return read

    def as_context(self) -> dict[str, str]:
        """Return mood and tone as a context has them; a neutral by default is unknown."""
        judged = {"mood": self.mood, "tone": self.tone}
        return {name: "" if each.source == NONE else each.label for name, each in judged.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the ``perceived`` object of an answer."""
        judged = {"mood": self.mood, "tone": self.tone}
        return {
            **{name: _rounded(each._asdict()) for name, each in judged.items()},
            **{name: _signal_json(name, read) for name, read in self.signals.items()},
        }


def perceive(request: InferenceRequest, words: Understanding) -> Perceived:
    """Wait until frames and clip are read, and merge all that is perceived."""
    sent = request.images or request.audio
    return merge(request, words, _worker.read(request.images, request.audio) if sent else {})


def merge(
    request: InferenceRequest, words: Understanding, media: Mapping[str, Reading]
) -> Perceived:
    """Merge labels set by hand, the words, and what was read of frames and clip.

    The mood is the one with the highest sum of the scores of words and face, weighted by their
    confidence; a neutral signal counts only if the other is neutral or absent too. Its confidence
    is the highest of the signals that agree, times one less half the highest of those that don't.
    The tone is the voice's, its confidence the score times that of the voice; a mood that fits
    makes ``excited`` ``happy`` or ``angry``, and ``subdued`` ``sad``. Below ``MIN_CONFIDENCE``
    either is ``neutral``.
    """
    by_hand = {label: 1.0 for label in (request.mood, request.tone) if label}
    signals = {
        HAND: Reading(by_hand, 1.0) if by_hand else _NOT_SENT,
        WORDS: words.mood if request.text else _NOT_SENT,
        FACE: _NOT_SENT,
        VOICE: _NOT_SENT,
        **media,
    }
    mood, tone = (Judged(label, HAND, 1.0) for label in (request.mood, request.tone))
    if not request.mood:
        mood = _mood({name: signals[name] for name in (WORDS, FACE)})
    if not request.tone:
        voice = signals[VOICE]
        confidence = voice.confidence * max(voice.scores.values(), default=0)
        judged = Judged(voice.label or vocabulary.NEUTRAL, VOICE, confidence)
        tone = _if_sure(judged).with_mood(mood)
    return Perceived(mood, tone, signals)


def _mood(signals: Mapping[str, Reading]) -> Judged:
    neutral = {name: read for name, read in signals.items() if read.label == vocabulary.NEUTRAL}
    mood = _merged({name: read for name, read in signals.items() if name not in neutral})
    return _merged(neutral) if mood.source == NONE else mood


def _merged(signals: Mapping[str, Reading]) -> Judged:
    weights = dict.fromkeys(vocabulary.MOODS, 0.0)
    for read in signals.values():
        for label, score in read.scores.items():
            weights[label] += read.confidence * score
    best = max(weights, key=lambda label: weights[label])
    agreeing = [(read.confidence, name) for name, read in signals.items() if read.label == best]
    others = [read.confidence for read in signals.values() if read.label != best]
    confidence, source = max(agreeing, default=(0.0, NONE))
    return _if_sure(Judged(best, source, confidence * (1 - max(others, default=0) / 2)))


def _if_sure(judged: Judged) -> Judged:
    return judged if judged.confidence >= MIN_CONFIDENCE else Judged()


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
