"""What can be used of an LLM's reply, however broken it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pydantic_core
from pydantic import ValidationError

from moodflix import moods
from moodflix.recommend.ranking import Pick
from moodflix.schemas import LlmFilm

_READINGS = (("mood", moods.MOODS), ("tone", moods.TONES))


@dataclass(frozen=True)
class Reply:
    """The good parts of one reply.

    Attributes:
        films: valid films in the LLM's order, twins included.
        mood: its reading of the mood, if valid.
        tone: its reading of the tone, if valid.
        whole: the JSON was complete and every item valid.
    """

    films: list[Pick] = field(default_factory=list)
    mood: str | None = None
    tone: str | None = None
    whole: bool = False


def parse(text: str) -> Reply:
    """Read the first JSON object in ``text``; prose around it and a cut end are forgiven.

    Of a cut object only films that had closed are kept (``why`` is the last field of each).
    """
    start = text.find("{")
    if start < 0:
        return Reply()
    whole = True
    try:
        # Numbers stay text: a year of 5,000 digits is for the validation to refuse.
        found, _ = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text, start)
    except (ValueError, RecursionError):
        whole = False
        found = _partial(text[start:])
    if not isinstance(found, dict):
        return Reply()
    raw = found.get("films")
    items = raw if isinstance(raw, list) else []
    if not whole and items and not (isinstance(items[-1], dict) and "why" in items[-1]):
        items = items[:-1]
    films = [film for item in items if (film := _film(item)) is not None]
    mood, tone = (_word(found.get(name), known) for name, known in _READINGS)
    complete = whole and bool(films) and len(films) == len(items)
    return Reply(films, mood, tone, complete)


def _partial(text: str) -> Any:
    try:
        return pydantic_core.from_json(text, allow_partial=True)
    except ValueError:
        return None


def _film(item: object) -> Pick | None:
    try:
        film = LlmFilm.model_validate(item)
    except ValidationError:
        return None
    return Pick(film.title, film.year, why=film.why)


def _word(value: object, known: tuple[str, ...]) -> str | None:
    return value if isinstance(value, str) and value in known else None
