"""What was understood of a person's words: read once per question, and carried by the query."""

from __future__ import annotations

from dataclasses import dataclass, field

from moodflix import vocabulary
from moodflix.perception import moods, wishes
from moodflix.perception.reading import Reading
from moodflix.perception.wishes import Wishes
from moodflix.perception.words import split


@dataclass(frozen=True)
class Understanding:
    """A text and what was read of it.

    Attributes:
        text: as it was written; never stored.
        mood: scores of the moods it names.
        wishes: what it asks for: traits, limits, films.
    """

    text: str = ""
    mood: Reading = field(default_factory=Reading)
    wishes: Wishes = field(default_factory=Wishes)


def understand(text: str, label: str | None = None) -> Understanding:
    """Read a text, and the wishes in a mood label of the person's own words.

    A label such as "heartbroken" says more than the mood it stands for.
    """
    words = split(text)
    own_label = label if label and label not in vocabulary.MOODS else None
    wished = split(f"{own_label}\n{text}") if own_label else words
    return Understanding(text, moods.read(words), wishes.read(wished))
