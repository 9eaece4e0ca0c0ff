"""All SQL about films: look a title up, search, import."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from moodflix.films import fuzzy, shipped, titles
from moodflix.recommend.query import Pick
from moodflix.store.database import staged
from moodflix.store.models import Film, blocks

# Years an exactly spelled title may be off: a remake under the same title takes longer.
_EXACT_YEARS: Final = 5
# Premiere and release lie in two years at most; sequels are rarely as close and spelled as alike.
_NEAR_YEARS: Final = 1
# Letters a title must have to be taken misspelt when no year speaks for it.
_LONG_TITLE: Final = 8

_INCOMING = Table(
    "incoming_films",
    MetaData(),
    Column("place", Integer, primary_key=True),
    Column("key", String, nullable=False),
    Column("title", String, nullable=False),
    Column("year", Integer, nullable=False),
    Column("other_name", Boolean, nullable=False),
    Column("head", String, nullable=False),
    Column("tail", String, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Listed:
    """A film that some list names; ``others`` are further titles it goes by."""

    title: str
    year: int
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Merged:
    """How many films and further names a merge added, and how many films were held already."""

    added: int
    names: int
    held: int


def known(session: Session, keys: Collection[str]) -> dict[str, list[Film]]:
    """Return the films of each spelling key that the table knows; bundled ones first.

    Only under their own titles: a list that shows further names would show a film twice.
    """
    found: dict[str, list[Film]] = {}
    order = (Film.bundled.desc(), Film.year)
    for film in session.scalars(select(Film).where(Film.key.in_(keys)).order_by(*order)):
        if _is_own_title(film):
            found.setdefault(film.key, []).append(film)
    return found


def meant(same_title: Iterable[Film], year: int | None) -> Film | None:
    """Return the film that is meant of those that share a title: the one nearest in years.

    Without a year it is a bundled one, and the newest; one too many years off is a remake.
    """
    if year is None:
        return max(same_title, key=lambda film: (film.bundled, film.year), default=None)
    nearest = min(
        same_title,
        key=lambda film: (abs(film.year - year), not film.bundled, not _is_own_title(film)),
        default=None,
    )
    return nearest if nearest and abs(nearest.year - year) <= _EXACT_YEARS else None


def look_up(session: Session, title: str, year: int | None = None) -> Film | None:
    """Return the film that a title means, or ``None`` if the table holds none.

    The spelling key decides; a misspelt title counts if the year agrees and only one film can be
    meant.
    """
    name, said = titles.split_year(title)
    year = said if year is None else year
    key = titles.key(name)
    film = meant(session.scalars(select(Film).where(Film.key == key)).all(), year)
    if film is None:
        film = _misspelt(session, key, year)
    if film is None or _is_own_title(film):
        return film
    own = select(Film).where(Film.key == titles.key(film.title), Film.year == film.year)
    return session.scalars(own).first() or film


def search(session: Session, title: str, limit: int) -> list[Film]:
    """Return films that go by a title, bundled and newest first, then those spelled like it."""
    name, year = titles.split_year(title)
    key = titles.key(name)
    near = fuzzy.matches(key, {other for other, _ in _blocked(session, key, year)} - {key})
    order = {key: 0} | {other: place for place, (other, _) in enumerate(near[:limit], start=1)}
    named = session.scalars(select(Film).where(Film.key.in_(order), *_about(year)))
    ranked = sorted(named, key=lambda film: (order[film.key], not film.bundled, -film.year))
    # A film may go by several of these names.
    return list({(film.title, film.year): film for film in reversed(ranked)}.values())[::-1][:limit]


def identified(session: Session, pick: Pick) -> Pick:
    """Return a pick under the title and year of the film it means, or marked as unknown."""
    film = look_up(session, pick.title, pick.year)
    if film is None:
        return replace(pick, known=False)
    return replace(pick, title=film.title, year=film.year, known=True)


def _is_own_title(film: Film) -> bool:
    return film.key == titles.key(film.title)


def _misspelt(session: Session, key: str, year: int | None) -> Film | None:
    if year is None and len(key) < _LONG_TITLE:
        return None
    ids: dict[str, list[int]] = {}
    for other, film_id in _blocked(session, key, year, both_ends=year is None):
        ids.setdefault(other, []).append(film_id)
    near = fuzzy.matches(key, ids.keys() - {key})
    likest = [each for other, score in near if score == near[0][1] for each in ids[other]]
    found = session.scalars(select(Film).where(Film.id.in_(likest))).all()
    one_title = len({titles.key(film.title) for film in found}) == 1
    return meant(found, year) if one_title else None


def _blocked(
    session: Session, key: str, year: int | None, *, both_ends: bool = False
) -> list[tuple[str, int]]:
    """Return key and id of the films that begin or end like a key, about the same year."""
    head, tail = blocks(key)
    years = _about(year)
    ends = (and_(Film.head == head, *years), and_(Film.tail == tail, *years))
    wanted = and_(*ends) if both_ends else or_(*ends)
    return [(row[0], row[1]) for row in session.execute(select(Film.key, Film.id).where(wanted))]


def _about(year: int | None) -> list[ColumnElement[bool]]:
    return [] if year is None else [Film.year.between(year - _NEAR_YEARS, year + _NEAR_YEARS)]


def _shipped_names() -> dict[tuple[str, int], shipped.ShippedFilm]:
    """Return the films this version ships, by spelling key and year."""
    ours = shipped.films()
    names = {(key, film.year): film for film in ours for key in film.keys}
    # A film's own title comes before another film's further name.
    return names | {(film.key, film.year): film for film in ours}


def has_shipped(session: Session) -> bool:
    """Whether the table marks just the films this version ships."""
    marked = select(Film.key, Film.year, Film.title).where(Film.bundled)
    wanted = {(*name, film.title) for name, film in _shipped_names().items()}
    return {tuple(row) for row in session.execute(marked)} == wanted


def import_shipped(session: Session) -> int:
    """Bring the table to the films this version ships; return how many those are."""
    names = _shipped_names()
    marked_or_named = Film.bundled | Film.key.in_({key for key, _ in names})
    held = {
        (row.key, row.year): row for row in session.scalars(select(Film).where(marked_or_named))
    }
    for name in held.keys() - names.keys():
        held[name].bundled = False
    for (key, year), film in names.items():
        row = held.get((key, year)) or Film(key=key, year=year)
        row.title, row.bundled = film.title, True
        session.add(row)
    return len(shipped.films())


def merge(session: Session, listed: Iterable[Listed]) -> Merged:
    """Add the films the table does not hold yet, for look-ups only, in one transaction."""
    connection = session.connection()
    with staged(session, _INCOMING, map(_rows, listed)) as total:
        # A film's own title comes before another film's further name.
        added = connection.execute(_insert_missing(other_name=False)).rowcount
        names = connection.execute(_insert_missing(other_name=True)).rowcount
    return Merged(added, names, total - added)


def _rows(film: Listed) -> list[dict[str, Any]]:
    own = titles.key(film.title)
    return [
        {
            "key": key,
            "title": film.title,
            "year": film.year,
            "other_name": key != own,
            "head": blocks(key)[0],
            "tail": blocks(key)[1],
        }
        for key in {own, *map(titles.key, film.others)}
    ]


def _insert_missing(*, other_name: bool) -> Any:
    twins = [_INCOMING.c.key, _INCOMING.c.year]
    nth = func.row_number().over(partition_by=twins, order_by=_INCOMING.c.place)
    arrived = (
        select(_INCOMING, nth.label("nth"))
        .where(_INCOMING.c.other_name == other_name)
        .subquery("arrived")
    )
    held = exists().where(Film.key == arrived.c.key, Film.year == arrived.c.year)
    plain = ("key", "title", "year", "head", "tail")
    missing = (
        select(
            *(arrived.c[name] for name in plain),
            literal(value=False),
        )
        .where(arrived.c.nth == 1, ~held)
        .order_by(arrived.c.key)
    )
    names = [*plain, "bundled"]
    return insert(Film.__table__).from_select(names, missing)  # type: ignore[arg-type]
