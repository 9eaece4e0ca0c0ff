"""All SQL about films: look a title up, import."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from importlib import resources

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from moodflix import titles
from moodflix.models import Film

_LISTS = ("countries", "genres", "moods", "themes")


def bundled(session: Session) -> Sequence[Film]:
    """Return the films that ship with the station, in a fixed order."""
    return session.scalars(select(Film).where(Film.bundled).order_by(Film.key, Film.year)).all()


def known(session: Session, keys: Collection[str]) -> dict[str, list[Film]]:
    """Return the films of each spelling key that the table knows; bundled ones first."""
    found: dict[str, list[Film]] = {}
    order = (Film.bundled.desc(), Film.year)
    for film in session.scalars(select(Film).where(Film.key.in_(keys)).order_by(*order)):
        found.setdefault(film.key, []).append(film)
    return found


def import_bundled(session: Session) -> int:
    """Bring the table to the films this version ships; return how many those are."""
    text = (resources.files("moodflix.data") / "films.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    session.execute(update(Film).where(Film.bundled).values(bundled=False))
    held = {
        (film.key, film.year): film
        for film in session.scalars(
            select(Film).where(Film.key.in_({titles.key(row["title"]) for row in rows}))
        )
    }
    for row in rows:
        at = titles.key(row["title"]), int(row["year"])
        film = held.get(at)
        if film is None:
            film = held[at] = Film(key=at[0], year=at[1])
            session.add(film)
        film.title, film.tone, film.bundled = row["title"], row["tone"], True
        for name in _LISTS:
            setattr(film, name, row[name].split(";"))
    return len(rows)
