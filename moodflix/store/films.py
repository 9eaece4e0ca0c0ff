"""All SQL about films: look a title up, search, import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from moodflix.films import fuzzy, shipped, titles
from moodflix.films.film_lists import Listed
from moodflix.store.database import staged
from moodflix.store.models import Base, Film, FilmName, blocks
from moodflix.store.statements import Prepared

# The LLM's year may be this wrong if no other film has the title; remakes are further apart.
_MAX_YEARS_WRONG: Final = 5
# A title without a year must have this many letters to be taken for a misspelling.
_LONG_TITLE: Final = 8

_INCOMING = Table(
    "incoming_films",
    MetaData(),
    Column("place", Integer, primary_key=True),
    Column("film_key", String, nullable=False),
    Column("title", String, nullable=False),
    Column("year", Integer, nullable=False),
    Column("other_name", Boolean, nullable=False),
    Column("spelling", String, nullable=False),
    Column("key", String, nullable=False),
    Column("head", String, nullable=False),
    Column("tail", String, nullable=False),
    prefixes=["TEMPORARY"],
)


class FoundFilm(NamedTuple):
    """A film of the table."""

    id: int
    film_key: str
    title: str
    year: int
    renown: int
    shipped: bool


_FILM: Final = [Base.metadata.tables["films"].c[name] for name in FoundFilm._fields]
_NAME: Final = Base.metadata.tables["film_names"].c
_NAMES: Final = select(_NAME.key, _NAME.spelling, *_FILM).join_from(
    _NAME.key.table, _FILM[0].table, _FILM[0] == _NAME.film_id
)
_NAMES_OF_KEY: Final = Prepared(_NAMES.where(_NAME.key == bindparam("key")))


@dataclass(frozen=True)
class Merged:
    """How many films and further names a merge added, and how many films were there before."""

    added: int
    names: int
    existing: int


def meant(
    session: Session | Connection, titled: Sequence[tuple[str, int | None]]
) -> list[list[FoundFilm]]:
    """Return the films that each (title, year or ``None``) means, as ``titles.meant`` does."""
    keys = [titles.key(title) for title, _ in titled]
    names: defaultdict[str, list[tuple[str, FoundFilm]]] = defaultdict(list)
    if len(keys) == 1:
        rows = _NAMES_OF_KEY.run(session, {"key": keys[0]})
    else:
        rows = session.execute(_NAMES.where(_NAME.key.in_(set(keys))))
    for key, spelling, *film in rows:
        names[key].append((spelling, FoundFilm(*film)))
    return [
        titles.meant(names[key], title, year)
        for key, (title, year) in zip(keys, titled, strict=True)
    ]


def keys(session: Session | Connection, texts: Iterable[str]) -> dict[str, str]:
    """Return the key of the film that each title means, also where the table has no such film."""
    distinct = list(dict.fromkeys(texts))
    found = meant(session, [(text, None) for text in distinct])
    return {
        text: films[0].film_key if films else titles.film_key(text)
        for text, films in zip(distinct, found, strict=True)
    }


def keys_to_leave_out(session: Session, texts: Sequence[str]) -> set[str]:
    """Return the keys of the films that these titles mean.

    A title with a year that none of its films has means all films of its spelling.
    """
    found = meant(session, [(text, None) for text in texts])
    return {
        films[0].film_key if films else titles.film_key(titles.split_year(text)[0])
        for text, films in zip(texts, found, strict=True)
    }


def id_of(film_key: Any) -> Any:
    """Return the subquery for the id of the film with a key; NULL if there is none."""
    return select(Film.id).where(Film.film_key == film_key).scalar_subquery()


def of_keys(session: Session, film_keys: Collection[str]) -> dict[str, FoundFilm]:
    """Return film key -> film, for those in the table."""
    found = session.execute(select(*_FILM).where(Film.film_key.in_(film_keys)))
    return {film.film_key: film for film in map(FoundFilm._make, found)}


def display_titles(session: Session, film_keys: Collection[str]) -> dict[str, str]:
    """Return a title for each film in the table, with its year if the title means another film."""
    in_table = list(of_keys(session, film_keys).values())
    likeliest = meant(session, [(film.title, None) for film in in_table])
    return {
        film.film_key: film.title
        if found[:1] == [film]
        else titles.with_year(film.title, film.film_key)
        for film, found in zip(in_table, likeliest, strict=True)
    }


def look_up(session: Session, title: str, year: int | None = None) -> FoundFilm | None:
    """Return the film that a title of the LLM's means, or ``None``.

    Unlike a person's, it may be misspelt if the year is right, or up to five years wrong if the
    spelling is right, provided that only one film can be meant.
    """
    if year is None:
        title, year = titles.split_year(title)
    [found] = meant(session, [(title, year)])
    return found[0] if found else _misdated(session, title, year) or _misspelt(session, title, year)


def search(session: Session, title: str, limit: int) -> list[FoundFilm]:
    """Return films with a name of this spelling, shipped and newest first, then similar ones."""
    name, year = titles.split_year(title)
    key = titles.key(name)
    near = fuzzy.matches(key, {other for other, _ in _candidates(session, key, year)} - {key})
    order = {key: 0} | {other: place for place, (other, _) in enumerate(near[:limit], start=1)}
    named = session.execute(_NAMES.where(FilmName.key.in_(order), *_near_year(year)))
    ranked = sorted(named, key=lambda row: (order[row.key], not row.shipped, -row.year))
    # Several of these names may be of one film.
    return list(dict.fromkeys(FoundFilm(*film) for _, _, *film in ranked))[:limit]


def _misdated(session: Session, title: str, year: int | None) -> FoundFilm | None:
    [found] = meant(session, [(title, None)])
    if year is None or len(found) != 1 or abs(found[0].year - year) > _MAX_YEARS_WRONG:
        return None
    return found[0]


def _misspelt(session: Session, title: str, year: int | None) -> FoundFilm | None:
    key = titles.key(title)
    if year is None and len(key) < _LONG_TITLE:
        return None
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for other, name_id in _candidates(session, key, year, both_ends=year is None):
        ids[other].append(name_id)
    near = fuzzy.matches(key, ids.keys() - {key})
    most_similar = [each for other, score in near if score == near[0][1] for each in ids[other]]
    names = session.execute(_NAMES.where(FilmName.id.in_(most_similar)))
    found = [(spelling, FoundFilm(*film)) for _, spelling, *film in names]
    if len({titles.key(film.title) for _, film in found}) != 1:
        return None
    likeliest = titles.meant(found, title, year)
    return likeliest[0] if likeliest else None


def _candidates(
    session: Session, key: str, year: int | None, *, both_ends: bool = False
) -> list[tuple[str, int]]:
    """Return key and id of names with the same beginning or end, and about the same year."""
    head, tail = blocks(key)
    years = _near_year(year)
    ends = (and_(FilmName.head == head, *years), and_(FilmName.tail == tail, *years))
    wanted = and_(*ends) if both_ends else or_(*ends)
    names = session.execute(select(FilmName.key, FilmName.id).where(wanted))
    return [(row[0], row[1]) for row in names]


def _near_year(year: int | None) -> list[ColumnElement[bool]]:
    near = titles.MAX_YEARS_OFF
    return [] if year is None else [FilmName.year.between(year - near, year + near)]


def import_shipped(session: Session) -> None:
    """Write the shipped films of this version to the tables where they differ."""
    for table, changes in ((Film, _film_changes), (FilmName, _name_changes)):
        found = changes(session)
        fresh = [row for row in found if "id" not in row]
        if fresh:
            session.execute(insert(table), fresh)
        if len(fresh) < len(found):
            session.execute(update(table), [row for row in found if "id" in row])


def holds_shipped(session: Session) -> bool:
    """Whether the tables have the shipped films of this version."""
    return not _film_changes(session) and not _name_changes(session)


def _film_changes(session: Session) -> list[dict[str, Any]]:
    wanted = {
        film.film_key: {"title": film.title, "year": film.year, "renown": film.renown}
        for film in shipped.films()
    }
    columns = (Film.film_key, Film.title, Film.year, Film.renown, Film.shipped)
    mine = or_(Film.shipped, Film.film_key.in_(wanted))
    existing = {row.film_key: row for row in session.execute(select(Film.id, *columns).where(mine))}
    found = []
    for key, values in wanted.items():
        row = {"film_key": key, **values, "shipped": True}
        if key not in existing:
            found.append(row)
        elif tuple(existing[key][1:]) != tuple(row.values()):
            found.append(row | {"id": existing[key].id})
    gone = existing.keys() - wanted.keys()
    return found + [{"id": existing[key].id, "shipped": False} for key in gone]


def _name_changes(session: Session) -> list[dict[str, Any]]:
    mine = session.execute(select(Film.film_key, Film.id).where(Film.shipped))
    ids = {row.film_key: row.id for row in mine}
    columns = (FilmName.film_id, FilmName.key, FilmName.id, FilmName.spelling, FilmName.language)
    names = select(*columns).join(Film, Film.id == FilmName.film_id)
    existing = {row[:2]: row for row in session.execute(names.where(Film.shipped))}
    found = []
    for film in shipped.films():
        for key, (spelling, language) in film.names.items():
            name = {"spelling": spelling, "language": language}
            row = existing.get((ids[film.film_key], key))
            if row is None:
                found.append({"film_id": ids[film.film_key], "year": film.year, **_name(key, name)})
            elif row[3:] != (spelling, language):
                found.append({"id": row.id, **name})
    return found


def merge(session: Session, listed: Iterable[Listed]) -> Merged:
    """Add the films that are not in the table yet, for look-ups only."""
    connection = session.connection()
    with staged(session, _INCOMING, map(_rows, listed)) as total:
        added = connection.execute(_insert_missing_films()).rowcount
        names = connection.execute(_insert_missing_names()).rowcount
    return Merged(added, names - added, total - added)


def _rows(film: Listed) -> list[dict[str, Any]]:
    own = titles.key(film.title)
    spellings = {titles.key(name): name for name in film.others} | {own: film.title}
    return [
        {
            "film_key": titles.film_key(film.title, film.year),
            "title": film.title,
            "year": film.year,
            "other_name": key != own,
            **_name(key, {"spelling": spelling}),
        }
        for key, spelling in spellings.items()
    ]


def _name(key: str, values: dict[str, Any]) -> dict[str, Any]:
    head, tail = blocks(key)
    return {"key": key, "head": head, "tail": tail, **values}


def _first_of(*columns: Any, where: ColumnElement[bool] | None = None) -> Any:
    # A film's own title comes before another film's further name.
    nth = func.row_number().over(
        partition_by=columns, order_by=(_INCOMING.c.other_name, _INCOMING.c.place)
    )
    rows = select(_INCOMING, nth.label("nth"))
    return (rows if where is None else rows.where(where)).subquery("arrived")


def _insert_missing_films() -> Any:
    own = ~_INCOMING.c.other_name
    arrived = _first_of(_INCOMING.c.key, _INCOMING.c.year, where=own)
    existing = exists().where(FilmName.key == arrived.c.key, FilmName.year == arrived.c.year)
    plain = ("film_key", "title", "year")
    missing = (
        select(*(arrived.c[name] for name in plain), literal(0), literal(value=False))
        .where(arrived.c.nth == 1, ~existing)
        .order_by(arrived.c.film_key)
    )
    return insert(Film).from_select([*plain, "renown", "shipped"], missing)


def _insert_missing_names() -> Any:
    arrived = _first_of(_INCOMING.c.key, _INCOMING.c.year)
    existing = exists().where(FilmName.key == arrived.c.key, FilmName.year == arrived.c.year)
    plain = ("spelling", "key", "head", "tail", "year")
    missing = (
        select(Film.id, *(arrived.c[name] for name in plain))
        .join(Film, Film.film_key == arrived.c.film_key)
        .where(arrived.c.nth == 1, ~existing)
        .order_by(arrived.c.key)
    )
    return insert(FilmName).from_select(["film_id", *plain], missing)
