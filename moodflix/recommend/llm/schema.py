"""The shapes of the LLM's reply, and the JSON schemas made of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

from moodflix import vocabulary
from moodflix.films import titles
from moodflix.requests import field_error, storable


def _tidy_title(title: str) -> str:
    title = titles.tidy(title)
    if not 0 < len(title) <= titles.MAX_TITLE:
        raise field_error("not a title")
    return storable(title)


def _word_of(known: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(known), "type": "string"})


def _without_docstring(schema: JsonDict) -> None:
    schema.pop("description", None)


class _Shape(BaseModel):
    # Docstrings are for readers of the code and would take up tokens of the prompt.
    model_config = ConfigDict(json_schema_extra=_without_docstring)


class LlmFilm(_Shape):
    """One film as the LLM names it.

    Length and range are checked here, as some versions of Ollama refuse them in a JSON schema.
    ``why`` comes last, so that a film that has it is complete.
    """

    title: Annotated[str, AfterValidator(_tidy_title)]
    year: Annotated[
        int | None,
        Field(ge=titles.FIRST_YEAR, le=titles.LAST_YEAR),
        WithJsonSchema({"type": "integer"}),
    ] = None
    why: Annotated[str, AfterValidator(titles.tidy), AfterValidator(storable)] = ""


class LlmChoice(_Shape):
    """One film that the LLM chose from a numbered list."""

    number: Annotated[int, Field(ge=1), WithJsonSchema({"type": "integer"})]
    why: Annotated[str, AfterValidator(titles.tidy), AfterValidator(storable)] = ""


class LlmReading(_Shape):
    """The mood and tone that the LLM reads."""

    mood: Annotated[str, _word_of(vocabulary.MOODS)]
    tone: Annotated[str, _word_of(vocabulary.VOICE_TONES)]


class LlmReply(LlmReading):
    """The reply where the LLM may name any film."""

    films: list[LlmFilm]


class LlmChosen(LlmReading):
    """The reply where the LLM has candidates to choose from."""

    chosen: list[LlmChoice]
    others: list[LlmFilm]
