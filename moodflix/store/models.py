"""The tables."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from moodflix import strict_json
from moodflix.films import titles
from moodflix.requests import MAX_KEY
from moodflix.store.statements import UtcDateTime

_BLOCK = 3
_KNOWN = text("corrects IS NOT NULL")


def blocks(key: str) -> tuple[str, str]:
    """Return the beginning and the end of a spelling key, by which misspelt ones are found."""
    return key[:_BLOCK], key[-_BLOCK:]


class Base(DeclarativeBase):
    """What all tables share: names for constraints, so that Alembic can alter them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class LogEntry(Base):
    """One choice: the 12 documented columns exactly as sent, and what was derived from them."""

    __tablename__ = "logs"
    __table_args__ = (
        # how often a film was chosen in a mood, weather and weekday
        Index("ix_logs_film_key_mood", "film_key", "mood", "weather_desc", "weekday"),
        # which films were chosen in a range of days
        Index("ix_logs_event_at", "event_at", "mood", "film_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_sent_at: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    city: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    lat: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    lon: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    today_status: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    tomorrow_status: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    weekday: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    weather_desc: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    temperature: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    mood: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    tone: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    movie_title: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # client_sent_at where it can be read and is not ahead, else received_at
    event_at: Mapped[datetime] = mapped_column(UtcDateTime)
    film_key: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    # the film where it is known
    film_id: Mapped[int | None] = mapped_column(ForeignKey("films.id"))
    answer_id: Mapped[str | None] = mapped_column(ForeignKey("answers.id"), index=True)


class LogImport(Base):
    """An import that added choices; their ids lie in this range, and they arrived at its moment."""

    __tablename__ = "log_imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    first_log_id: Mapped[int]
    last_log_id: Mapped[int]
    undone: Mapped[bool]


class Film(Base):
    """A film that can be looked up; ``shipped`` ones are those the catalogue ranks."""

    __tablename__ = "films"
    __table_args__ = (UniqueConstraint("film_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    # made of title and year; choices, picks and verdicts have it too
    film_key: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    title: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    year: Mapped[int]
    # from 1 to 5, 0 where not known
    renown: Mapped[int]
    shipped: Mapped[bool] = mapped_column(index=True)


class FilmName(Base):
    """A name of a film, such as its title or its original title."""

    __tablename__ = "film_names"
    __table_args__ = (
        UniqueConstraint("key", "film_id"),
        Index("ix_film_names_head_year", "head", "year"),
        Index("ix_film_names_tail_year", "tail", "year"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    film_id: Mapped[int] = mapped_column(ForeignKey("films.id"), index=True)
    spelling: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    # ISO 639-1
    language: Mapped[str | None] = mapped_column(String(2))
    # the spelling key, and its beginning and end, by which misspelt titles are found
    key: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    head: Mapped[str] = mapped_column(String(_BLOCK))
    tail: Mapped[str] = mapped_column(String(_BLOCK))
    # the film's
    year: Mapped[int]


class Answer(Base):
    """What the station answered: the context in words, the list, the seconds."""

    __tablename__ = "answers"
    __table_args__ = (
        Index("ix_answers_corrects", "corrects", sqlite_where=_KNOWN, postgresql_where=_KNOWN),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    answered_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    # the ten context columns in words; never the person's own text, frames or clip
    context: Mapped[dict[str, str]] = mapped_column(JSON)
    mood_source: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    tone_source: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    llm_status: Mapped[str] = mapped_column(String(strict_json.MAX_TEXT))
    # queue, first_film, total (seconds), tokens_per_second, prompt_tokens: those that are known
    llm_numbers: Mapped[dict[str, float]] = mapped_column(JSON)
    seconds: Mapped[float] = mapped_column(Double)
    # the answer whose mood, read by machine, was corrected by hand in this one
    corrects: Mapped[str | None] = mapped_column(ForeignKey("answers.id"))
    picks: Mapped[list[AnswerPick]] = relationship(order_by="AnswerPick.position")


class AnswerPick(Base):
    """One film of an answer: its place, and the rank each recommender gave it (from 1)."""

    __tablename__ = "answer_picks"

    answer_id: Mapped[str] = mapped_column(ForeignKey("answers.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    film_key: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    # the film where it is known
    film_id: Mapped[int | None] = mapped_column(ForeignKey("films.id"))
    title: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    year: Mapped[int | None]
    sources: Mapped[dict[str, int]] = mapped_column(JSON)


class Feedback(Base):
    """A visitor's newest verdict on a film."""

    __tablename__ = "feedback"

    # a random id that the visitor's browser keeps
    visitor: Mapped[str] = mapped_column(String(64), primary_key=True)
    film_key: Mapped[str] = mapped_column(String(titles.MAX_TITLE), primary_key=True)
    # the film where it is known
    film_id: Mapped[int | None] = mapped_column(ForeignKey("films.id"))
    title: Mapped[str] = mapped_column(String(titles.MAX_TITLE))
    verdict: Mapped[str] = mapped_column(String(20))
    answer_id: Mapped[str | None] = mapped_column(ForeignKey("answers.id"))
    said_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Training(Base):
    """The figures of one trained model; the files of older ones are deleted."""

    __tablename__ = "trainings"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rows: Mapped[int]
    # None where there were too few rows for a held-out part
    held_out: Mapped[int | None]
    hit10: Mapped[float | None] = mapped_column(Double)
    popularity_hit10: Mapped[float | None] = mapped_column(Double)
    below_baseline: Mapped[bool] = mapped_column("worse")


class SavedRequest(Base):
    """The key of a saved choice, and what tells that choice from another."""

    __tablename__ = "saved_requests"

    key: Mapped[str] = mapped_column(String(MAX_KEY), primary_key=True)
    digest: Mapped[str] = mapped_column(String(32))
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


# Kept by `store.sums`; days are those of the station's time zone. A migration that changes what is
# counted empties them, and they are counted again at its end.
tallies = Table(
    "tallies",
    Base.metadata,
    Column("measure", String(20), primary_key=True),
    # what the measure is counted by
    Column("a", String(strict_json.MAX_TEXT), primary_key=True),
    Column("b", String(strict_json.MAX_TEXT), primary_key=True),
    # last in the key, so that a sum over days reads a range of it
    Column("day", String(10), primary_key=True),
    Column("n", Integer, nullable=False),
)
THIRDS = tuple(f"to_{third:02}" for third in range(1, 37))
# How often a film was chosen in a mood from a year's beginning to the end of each third of a month
# (its 10th, its 20th, its last day): what lies between two is one subtraction a year.
film_tallies = Table(
    "film_tallies",
    Base.metadata,
    Column("mood", String(strict_json.MAX_TEXT), primary_key=True),
    Column("film_key", String(titles.MAX_TITLE), primary_key=True),
    Column("year", Integer, primary_key=True),
    *(Column(name, Integer, nullable=False) for name in THIRDS),
)
