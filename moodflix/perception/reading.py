"""What one signal says about a person's mood or tone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reading:
    """Scores of one signal (hand, words, face or voice).

    Attributes:
        scores: label -> score, 0 to 1; of moods for words and face, of tones for voice.
        confidence: how reliable the signal is, 0 (not at all) to 1.
        missing: why there is nothing to read (``no_face``, ``too_short``, ...), else empty.
        details: further JSON-able facts for the answer; never stored.
        label: the label with the highest score.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    missing: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = field(init=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Find the label with the highest score, ``None`` without any."""
        best = max(self.scores, key=lambda name: self.scores[name], default=None)
        object.__setattr__(self, "label", best)
