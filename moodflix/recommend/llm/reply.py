"""Reads from an LLM's reply what can be used, however broken the reply is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from moodflix import vocabulary
from moodflix.recommend.llm.schema import LlmChoice, LlmFilm
from moodflix.recommend.query import Pick

_READINGS = (("mood", vocabulary.MOODS), ("tone", vocabulary.VOICE_TONES))
# Numbers stay text, so that validation, not the decoder, refuses a year of 5,000 digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
# A string (the last may be cut) or a bracket; brackets inside strings don't count.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[][{}]', re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}
_IN_FILMS = ["}", "]"]


@dataclass(frozen=True)
class Reply:
    """The valid parts of one reply.

    Attributes:
        films: valid films in the LLM's order, duplicates included.
        mood: its reading of the mood, if valid.
        tone: its reading of the tone, if valid.
        whole: the JSON was complete and every item valid.
    """

    films: list[Pick] = field(default_factory=list)
    mood: str | None = None
    tone: str | None = None
    whole: bool = False


def parse(text: str, candidates: Sequence[Pick] = ()) -> Reply:
    """Read the first JSON object in ``text``, and ignore text around it.

    Of an object that is cut off only complete films are kept. Numbers count the candidates from 1.
    """
    start = text.find("{")
    if start < 0:
        return Reply()
    whole = True
    try:
        decoded, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        whole, decoded = False, _complete_films_before(text[start : error.pos])
    except RecursionError:
        whole, decoded = False, _complete_films_before(text[start:])
    if not isinstance(decoded, dict):
        return Reply()
    read = [_chosen(item, candidates) for item in _items(decoded, "chosen")]
    read += [_film(item) for name in ("others", "films") for item in _items(decoded, name)]
    films = [film for film in read if film is not None]
    mood, tone = (_word(decoded.get(name), known) for name, known in _READINGS)
    complete = whole and bool(films) and len(films) == len(read)
    return Reply(films, mood, tone, complete)


def _complete_films_before(text: str) -> Any:
    """Decode an object that is cut off, up to its last complete film."""
    to_close: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in _CLOSES:
            to_close.append(_CLOSES[mark])
        elif mark in _CLOSES.values():
            if not to_close or to_close.pop() != mark:
                break
            if mark == "}" and to_close == _IN_FILMS:
                end = token.end()
    try:
        return _DECODER.decode(text[:end] + "]}")
    except (ValueError, RecursionError):
        return None


def _items(decoded: dict[str, Any], name: str) -> list[object]:
    value = decoded.get(name)
    return value if isinstance(value, list) else []


def _chosen(item: object, candidates: Sequence[Pick]) -> Pick | None:
    try:
        choice = LlmChoice.model_validate(item)
    except ValidationError:
        return None
    if choice.number > len(candidates):
        return None
    pick = candidates[choice.number - 1]
    return Pick(pick.title, pick.year, why=choice.why)


def _film(item: object) -> Pick | None:
    try:
        film = LlmFilm.model_validate(item)
    except ValidationError:
        return None
    return Pick(film.title, film.year, why=film.why, known=False)


def _word(value: object, known: tuple[str, ...]) -> str | None:
    return value if isinstance(value, str) and value in known else None
