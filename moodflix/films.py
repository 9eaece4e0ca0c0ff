"""All SQL about films: look a title up, import."""

from __future__ import annotations

import csv
from collections.abc import Collection
from importlib import resources

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from moodflix import titles
from moodflix.models import Film

_LISTS = ("countries", "genres", "moods", "themes")


def shipped() -> list[Film]:
    """Return the films that ship with the station, read from its data file, oldest first."""
    text = (resources.files("moodflix.data") / "films.csv").read_text(encoding="utf-8")
    return [
        Film(
            key=titles.key(row["title"]),
            title=row["title"],
            year=int(row["year"]),
            bundled=True,
            tone=row["tone"],
            **{name: row[name].split(";") for name in _LISTS},
        )
        for row in csv.DictReader(text.splitlines())
    ]


def known(session: Session, keys: Collection[str]) -> dict[str, list[Film]]:
    """Return the films of each spelling key that the table knows; bundled ones first."""
    found: dict[str, list[Film]] = {}
    order = (Film.bundled.desc(), Film.year)
    for film in session.scalars(select(Film).where(Film.key.in_(keys)).order_by(*order)):
        found.setdefault(film.key, []).append(film)
    return found


def import_shipped(session: Session) -> int:
    """Bring the table to the films this version ships; return how many those are."""
    ours = shipped()
    session.execute(update(Film).where(Film.bundled).values(bundled=False))
    held = {
        (film.key, film.year): film.id
        for film in session.scalars(select(Film).where(Film.key.in_({film.key for film in ours})))
    }
    for film in ours:
        film.id = held.get((film.key, film.year))  # type: ignore[assignment]  # None: a new row
        session.merge(film)
    return len(ours)
