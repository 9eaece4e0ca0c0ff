"""Every setting: its default, type, range and meaning. Each is read from ``MOODFLIX_<NAME>``."""

from __future__ import annotations

import difflib
import os
import typing
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from moodflix import address, clock
from moodflix.errors import ConfigError

PREFIX = "MOODFLIX_"


def _known_zone(name: str) -> str:
    clock.named_zone(name)
    return name


class Settings(BaseSettings):
    """The settings of one station, read once at the start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # flask reads this file by itself, so gunicorn must read it too
        env_file=".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
    )

    host: str = Field(address.HOST, description="address to listen on")
    port: Annotated[int, Ge(1), Le(65535)] = Field(address.PORT, description="port to listen on")
    tls_cert: Path | None = Field(
        None, description="certificate (PEM) to serve https with, so that phones get their cameras"
    )
    tls_key: Path | None = Field(None, description="key (PEM) of the certificate")
    workers: Annotated[int, Ge(1), Le(64)] = Field(1, description="gunicorn worker processes")
    threads: Annotated[int, Ge(4), Le(256)] = Field(
        64, description="requests served at once by each worker, those that wait for films included"
    )
    idle_timeout: Annotated[float, Ge(0)] = Field(
        0, description="seconds without a request after which the server stops; 0 is never"
    )
    instance: Path | None = Field(
        None, description="folder of the database; unset: `instance/` beside the package"
    )
    database_url: str | None = Field(
        None, description="SQLAlchemy URL; unset: SQLite, `moodflix.sqlite3` in the instance folder"
    )
    csv_file: Path = Field(
        Path("tmp/user_logs.csv"), description="what `flask logs import` reads if no file is named"
    )
    llm: Literal["auto", "ollama", "embedded"] = Field(
        "auto",
        description="`auto`: use Ollama when it answers; `ollama`: fail when it doesn't; "
        "`embedded`: never ask it",
    )
    llm_timeout: Annotated[float, Ge(1), Le(600)] = Field(
        60, description="seconds one answer may spend on the LLM, everything included"
    )
    llm_style: Literal["choose", "free"] = Field(
        "choose",
        description="`choose`: the LLM picks among the station's own candidates and names two more "
        "at most; `free`: it names all of its films",
    )
    llm_parallel: Annotated[int, Ge(1), Le(64)] = Field(
        1, description="calls of the LLM at a time, in each worker"
    )
    llm_queue: Annotated[int, Ge(0), Le(64)] = Field(
        4, description="calls that may wait for the LLM, in each worker"
    )
    llm_breaker: Annotated[int, Ge(0)] = Field(
        5, description="failures in a row after which the LLM is skipped for a while; 0 is never"
    )
    ollama_model: Annotated[str, Field(min_length=1)] = Field(
        "llama3.2:3b", description="model that Ollama runs (`OLLAMA_HOST` says where)"
    )
    unknown_films: Literal["keep", "drop"] = Field(
        "keep",
        description="what happens to films of the LLM that the station doesn't know "
        "(`flask catalogue import` adds more)",
    )
    repeat_days: Annotated[int, Ge(0), Le(365)] = Field(
        0, description="days for which a film chosen here is not recommended again; 0 is none"
    )
    city: str = Field("", description="where the station is, as the page fills it in")
    api_token: SecretStr | None = Field(
        None,
        description="what the operator logs in to `/dashboard` with; unset: it answers only on the "
        "station itself",
    )
    rate_limit_enabled: bool = Field(
        default=True, description="whether a client may ask only so often"
    )
    rate_limit_questions: Annotated[int, Ge(0)] = Field(
        30, description="questions a client may ask in a minute, and readings; 0 is any number"
    )
    rate_limit_logs: Annotated[int, Ge(0)] = Field(
        120, description="choices a client may log in a minute; 0 is any number"
    )
    rate_limit_feedbacks: Annotated[int, Ge(0)] = Field(
        120, description="verdicts a client may send in a minute; 0 is any number"
    )
    rate_limit_logins: Annotated[int, Ge(0)] = Field(
        10, description="log-ins a client may try in a minute; 0 is any number"
    )
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        None,
        examples=["Asia/Seoul"],
        description="time zone of the station's days and hours; unset: the system's. "
        "After a change run `flask stats rebuild`",
    )
    log_envelope: bool = Field(
        default=False, description="answer `GET /inference/log` in an MFNP envelope"
    )
    log_format: Literal["text", "json"] = Field("text", description="how log lines are written")
    retrain_rows: Annotated[int, Ge(1)] = Field(
        20, description="new choices after which the model's weights are refitted"
    )
    retrain_hours: Annotated[float, Ge(0)] = Field(
        24, description="hours after which fewer new choices are enough; 0 is never"
    )

    @property
    def zone(self) -> tzinfo | None:
        """The station's time zone; ``None`` is the system's."""
        return clock.named_zone(self.timezone)


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + field.upper()


def allowed(field: FieldInfo) -> str:
    """Return which values a setting takes, in words for errors and documentation."""
    kind = field.annotation
    if field.examples:
        return f"a name such as `{field.examples[0]}`"
    if typing.get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(kind))
    if kind is bool:
        return "`0`, `1`"
    if kind not in (int, float):
        return "text"
    low = next((rule.ge for rule in field.metadata if isinstance(rule, Ge)), None)
    high = next((rule.le for rule in field.metadata if isinstance(rule, Le)), None)
    words = "whole number" if kind is int else "number"
    return f"{words} from {low}" + ("" if high is None else f" to {high}")


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigError: a value makes no sense; one line names variable, value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = {str(each["loc"][0]).lower(): each["input"] for each in error.errors()}
    raise ConfigError("; ".join(_refusal(*each) for each in found.items()))


def _refusal(field: str, value: object) -> str:
    wanted = allowed(Settings.model_fields[field]).replace("`", "")
    return f"{variable(field)}={str(value)!r} is not allowed; it takes: {wanted}"


def unknown_variables() -> Iterator[str]:
    """Yield a line for each ``MOODFLIX_*`` variable that is no setting, with the nearest one."""
    known = [variable(field) for field in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
