"""The exceptions of the station, free of Flask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MoodflixError(Exception):
    """A failure whose text may be shown to any client: no paths, no SQL, no foreign text."""


class ConfigError(MoodflixError):
    """A setting has a value that makes no sense."""


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of the input; never holds the value itself."""

    field: str
    message: str

    def __str__(self) -> str:
        """Return field and message; without a field the message alone."""
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidInputError(MoodflixError):
    """The input is invalid; ``problems`` name the fields."""

    def __init__(self, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        """Store the headline and the problems behind it."""
        super().__init__(message)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, *problems: FieldProblem) -> InvalidInputError:
        """Return an error whose text is these problems."""
        return cls("; ".join(map(str, problems)), problems)


class DatabaseUnavailableError(MoodflixError):
    """The database can't be read or written just now; the text says why."""


class DatabaseBusyError(DatabaseUnavailableError):
    """Something else holds the database; it may be free ``retry_after`` seconds later."""

    retry_after = 10

    def __init__(self, message: str = "the database is busy: something else writes to it") -> None:
        """Store the reason."""
        super().__init__(message)


class SchemaError(MoodflixError):
    """The database isn't at the newest migration; the text says what to run."""


class CatalogueError(MoodflixError):
    """A data file of the catalogue can't be read; names file, line, field and the reason."""


class RecommenderError(MoodflixError):
    """A recommender can't answer; the text says why."""


class LlmError(RecommenderError):
    """Ollama gave nothing that can be used; the text says why and what to do."""


class LlmBusyError(LlmError):
    """The LLM can't be asked just now, but may be ``retry_after`` seconds later."""

    def __init__(self, message: str, retry_after: int) -> None:
        """Store the reason and the whole seconds to wait."""
        super().__init__(f"{message}; try again in {retry_after} s")
        self.retry_after = retry_after
