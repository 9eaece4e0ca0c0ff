"""The pydantic models of request bodies, query strings and CSV rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from moodflix import strict_json, vocabulary
from moodflix.errors import FieldProblem, InvalidInputError
from moodflix.films import titles
from moodflix.films.shipped import Family
from moodflix.vocabulary import Intent

#: Languages of the reasons.
Language = Literal["en", "ko"]
#: Characters of `text`.
MAX_WORDS: Final = 2000
MAX_FRAMES: Final = 64
#: Films in `movies`, and in `exclude`.
MAX_NAMED: Final = 200
MAX_LIMIT: Final = 50
MAX_LOG_LIMIT: Final = 10_000
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
MAX_KEY: Final = 255
# Its length is not limited here, as that of the body is.
_Base64 = Annotated[str, StringConstraints(strict=True)]


def field_error(message: str) -> PydanticCustomError:
    """Return a validation error; ``message`` follows the field's name."""
    # pydantic takes the message for a template: it must have no braces from outside.
    return PydanticCustomError("moodflix", message)


def _as_text(value: object) -> object:
    """Return the text that was sent; null is empty (numbers are text already)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise field_error("must be text or a number")
    return value


def storable(text: str) -> str:
    """Validate that a text can be stored.

    Raises:
        PydanticCustomError: it can't; the text says why.
    """
    # Printable text, nearly all of it, can be stored and is quick to recognise.
    problem = None if text.isprintable() else strict_json.text_problem(text)
    if problem:
        raise field_error(problem)
    return text


def _at_most(length: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > length:
            raise field_error(f"must have at most {length} characters")
        return text

    return AfterValidator(check)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise field_error("must not be empty")
    return text


def _none_if_blank(value: object) -> object:
    return None if value == [] or (isinstance(value, str) and not value.strip()) else value


Text = Annotated[
    str,
    BeforeValidator(_as_text),
    _at_most(strict_json.MAX_TEXT),
    AfterValidator(storable),
]
Title = Annotated[
    str,
    BeforeValidator(_as_text),
    _at_most(titles.MAX_TITLE),
    AfterValidator(storable),
    AfterValidator(_not_blank),
]
Label = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True),
    _at_most(strict_json.MAX_TEXT),
]
Visitor = Annotated[
    str, BeforeValidator(_as_text), StringConstraints(pattern="^[A-Za-z0-9_-]{8,64}$")
]


def _year(value: object) -> int | None:
    # Anything else is dropped: a year is not worth losing a choice for.
    return int(value) if isinstance(value, str) and re.fullmatch("[12][0-9]{3}", value) else None


_FilmYear = Annotated[int | None, BeforeValidator(_year), Field(alias="movieYear")]


def _list_of(limit: int) -> BeforeValidator:
    """Read a single value as a list of one, and leave out null and blank items."""

    def read_list(value: object) -> list[object]:
        items = value if isinstance(value, list) else [value]
        # Checked first, as a body may have millions of items.
        if len(items) > limit:
            raise field_error(f"must have at most {limit} items")
        return [item for item in items if _none_if_blank(item) is not None]

    return BeforeValidator(read_list)


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise field_error("must be a number")
    return value


class LoggedEnvironment(BaseModel):
    """The environment of a choice, kept as text."""

    city: Text = ""
    lat: Text = ""
    lon: Text = ""
    today_status: Text = ""
    tomorrow_status: Text = ""
    weekday: Text = ""
    weather_desc: Text = ""
    temperature: Text = ""


class LogRow(LoggedEnvironment):
    """One choice as the text that was sent; ``FIELDS`` has the order of the columns."""

    client_sent_at: Text = ""
    mood: Text = ""
    tone: Text = ""
    movie_title: Title


# The ten columns of a choice's context: all but time and film.
CONTEXT: Final = (*LoggedEnvironment.model_fields, "mood", "tone")
FIELDS: Final = ("client_sent_at", *CONTEXT, "movie_title")
# The documented names of FIELDS.
COLUMNS: Final = ("clientSentAt", *FIELDS[1:])
LEGACY_COLUMNS: Final = tuple(
    "timestamp,city,latitude,longitude,today_status,tomorrow_status,weekday,"
    "weather_desc,temperature,mood,voice_tone,movie_selected".split(",")
)


class LogRequest(BaseModel):
    """Body of ``POST /inference/log``."""

    client_sent_at: Text = Field("", alias="clientSentAt")
    movie_title: Title = Field(alias="movieTitle")
    movie_year: _FilmYear = None
    mood: Text = ""
    tone: Text = ""
    env: LoggedEnvironment | None = Field(None, validation_alias=AliasChoices("env", "environment"))
    inference_id: Label | None = Field(None, alias="inferenceId")

    def row(self) -> LogRow:
        """Return the 12 columns."""
        env = self.env or LoggedEnvironment()
        return LogRow.model_construct(
            client_sent_at=self.client_sent_at,
            mood=self.mood,
            tone=self.tone,
            movie_title=self.movie_title,
            **env.model_dump(),
        )


class FeedbackRequest(BaseModel):
    """Body of ``POST /inference/feedback``."""

    visitor: Visitor
    movie_title: Title = Field(alias="movieTitle")
    movie_year: _FilmYear = None
    verdict: Literal["not-tonight", "loved", "disliked", "none"]
    inference_id: Label | None = Field(None, alias="inferenceId")


def _celsius(value: object) -> object:
    if not isinstance(value, str):
        return value
    return re.sub(r"(°\s*c?|℃|c)$", "", value.strip(), flags=re.IGNORECASE)


def _known_weekday(text: str) -> str:
    if text and vocabulary.weekday(text) is None:
        raise field_error("not a weekday")
    return text


def _no_placeholder(text: str) -> str:
    if text and text.casefold() in vocabulary.PLACEHOLDERS:
        raise field_error("a placeholder")
    return text


def _number(value: object) -> object:
    return _none_if_blank(_no_boolean(value))


def _auto_if_blank(value: object) -> object:
    return "auto" if _none_if_blank(value) is None else value


def _primary_tag(value: object) -> object:
    """Read ``ko-KR`` as ``ko``."""
    if isinstance(value, str):
        value = re.split("[-_]", value.strip().lower(), maxsplit=1)[0]
    return _none_if_blank(value)


# The bounds are inside the optional type, as pydantic would compare None with them.
_Latitude = Annotated[float, Field(ge=-90, le=90)]
_Longitude = Annotated[float, Field(ge=-180, le=180)]
_Celsius = Annotated[float, Field(ge=-90, le=70)]
_Minutes = Annotated[int, Field(ge=20, le=600)]
_Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Environment(BaseModel):
    """The evening: place, weather and day; blank and ``None`` mean unknown."""

    model_config = ConfigDict(allow_inf_nan=False)

    city: Annotated[Label, AfterValidator(_no_placeholder)] = ""
    lat: Annotated[_Latitude | None, BeforeValidator(_number)] = None
    lon: Annotated[_Longitude | None, BeforeValidator(_number)] = None
    weather_desc: Annotated[Label, AfterValidator(_no_placeholder)] = ""
    temperature: Annotated[_Celsius | None, BeforeValidator(_number), BeforeValidator(_celsius)] = (
        None
    )
    weekday: Annotated[Label, AfterValidator(_known_weekday)] = ""
    today_status: Annotated[Label, AfterValidator(_no_placeholder)] = ""
    tomorrow_status: Annotated[Label, AfterValidator(_no_placeholder)] = ""

    def as_context(self) -> dict[str, str]:
        """Return the columns of a context as text; blank is unknown."""
        columns = {name: getattr(self, name) for name in LoggedEnvironment.model_fields}
        return {name: "" if value is None else str(value) for name, value in columns.items()}

    @classmethod
    def lenient(cls, raw: object) -> tuple[Environment, list[str]]:
        """Read the valid values; return them with a warning for each that is not."""
        if raw is None:
            return cls(), []
        if not isinstance(raw, Mapping):
            return cls(), ["environment: must be an object; counted as unknown"]
        try:
            return cls.model_validate(raw), []
        except ValidationError as error:
            found = problems(error)
        bad = {problem.field.split(".")[0] for problem in found}
        readable = {name: value for name, value in raw.items() if name not in bad}
        return cls.model_validate(readable), [
            f"environment.{problem.field}: {problem.message}; counted as unknown"
            for problem in found
        ]


class InferenceRequest(BaseModel):
    """Body of ``POST /inference`` and ``/inference/reading``; every field may be missing."""

    environment: Any = Field(None, validation_alias=AliasChoices("environment", "env"))
    images: Annotated[list[_Base64], _list_of(MAX_FRAMES)] = Field(default_factory=list)
    audio: Annotated[_Base64 | None, BeforeValidator(_none_if_blank)] = None
    mood: Label = ""
    tone: Label = ""
    text: Annotated[
        str,
        BeforeValidator(_as_text),
        StringConstraints(strip_whitespace=True),
        _at_most(MAX_WORDS),
    ] = ""
    movies: Annotated[list[Title], _list_of(MAX_NAMED)] = Field(default_factory=list)
    exclude: Annotated[list[Title], _list_of(MAX_NAMED)] = Field(default_factory=list)
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(_no_boolean)] = 10
    intent: Annotated[Intent, BeforeValidator(_auto_if_blank)] = "auto"
    max_minutes: Annotated[_Minutes | None, BeforeValidator(_number)] = Field(
        None, alias="maxMinutes"
    )
    family: Annotated[Family | None, BeforeValidator(_none_if_blank)] = None
    seed: Annotated[_Seed | None, BeforeValidator(_number)] = None
    language: Annotated[Language | None, BeforeValidator(_primary_tag)] = None
    visitor: Annotated[Visitor | None, BeforeValidator(_none_if_blank)] = None
    corrects: Label | None = None


class LogQuery(BaseModel):
    """Query string of ``GET /inference/log``."""

    limit: Annotated[int, Field(ge=1, le=MAX_LOG_LIMIT)] = 50


class Envelope(BaseModel):
    """An MFNP envelope, version 1."""

    protocol: Literal["MFNP"]
    version: Annotated[float, Field(ge=1, lt=2)] = 1.0
    message_type: Literal["inference", "inference-reading", "inference-log", "inference-feedback"]
    payload: dict[str, Any]


Shape = TypeVar("Shape", bound=BaseModel)


@cache
def fields(shape: type[BaseModel]) -> strict_json.Fields:
    """Return the names of a shape's fields as they are sent, with those of the objects in it."""
    found: dict[str, Any] = {}
    for name, field in shape.model_fields.items():
        alias = field.validation_alias or name
        names = alias.choices if isinstance(alias, AliasChoices) else [alias]
        # The environment is read leniently, so its annotation is Any.
        kinds = (Environment,) if field.annotation is Any else get_args(field.annotation)
        inner = [each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)]
        found |= dict.fromkeys(map(str, names), fields(inner[0]) if inner else None)
    return found


def read(shape: type[Shape], raw: Mapping[str, Any]) -> Shape:
    """Validate ``raw`` as ``shape``.

    Raises:
        InvalidInputError: names each field and what is wrong with it, never its value.
    """
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        found = problems(error)
    raise InvalidInputError.of(*found)


# In place of pydantic's messages, which are for programmers.
_PLAIN: Final = {
    "missing": "is required",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
}


def problems(error: ValidationError) -> Sequence[FieldProblem]:
    """Return the first problem of each field."""
    found: dict[str, FieldProblem] = {}
    for each in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in each["loc"])
        plain = _PLAIN.get(each["type"], "{msg}").format(msg=each["msg"], **each.get("ctx", {}))
        found.setdefault(field, FieldProblem(field, plain))
    return list(found.values())
