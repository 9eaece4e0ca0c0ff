"""The films that ship with the station: reads their data files, and finds films by title or key."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from moodflix import vocabulary
from moodflix.errors import CatalogueError
from moodflix.films import titles

Family = Literal["all", "older-kids", "teens", "adults"]
# From the youngest audience to the oldest.
FAMILIES: Final[tuple[str, ...]] = get_args(Family)
GENRES: Final = frozenset(
    "action adventure animation biography comedy crime documentary drama family fantasy history "
    "horror music musical mystery noir romance sci-fi sport thriller war western".split()
)
FILM_TONES: Final = frozenset(
    "dark dreamy eerie epic gritty melancholic playful tender tense uplifting warm wry".split()
)


def _split_list(value: object) -> object:
    return tuple(filter(None, value.split(";"))) if isinstance(value, str) else value


def _split_weights(value: object) -> object:
    return dict(part.split(":") for part in value.split(";")) if isinstance(value, str) else value


def _one_of(known: Iterable[str]) -> AfterValidator:
    """Return a validator of one word or a list of words: all known, none twice."""

    def check(values: Any) -> Any:
        unknown = sorted(set([values] if isinstance(values, str) else values) - set(known))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not one of {' '.join(sorted(known))}")
        if not isinstance(values, str) and len(set(values)) < len(values):
            raise ValueError("names something twice")
        return values

    return AfterValidator(check)


def _tidy(text: str) -> str:
    if titles.tidy(text) != text or titles.split_year(text)[1]:
        raise ValueError("must be a plain title without a year")
    return text


_Code = Annotated[str, Field(pattern="^[A-Z]{2}$")]
_Language = Annotated[str, Field(pattern="^[a-z]{2}$")]
_Slug = Annotated[str, Field(pattern="^([a-z0-9]+(-[a-z0-9]+)*)?$")]
_Step = Annotated[int, Field(ge=1, le=5)]
_List = BeforeValidator(_split_list)


@dataclass(frozen=True)
class ShippedFilm:
    """One line of a data file; ``docs/films.md`` explains the columns.

    Attributes:
        moods: how well (0.2 to 1) it suits a person in each mood, the best-suited first.
        pace, warmth, darkness, renown: steps from 1 to 5.
        runtime: minutes.
    """

    title: Annotated[str, AfterValidator(_tidy), Field(min_length=1, max_length=titles.MAX_TITLE)]
    original_title: Annotated[str, AfterValidator(_tidy), Field(max_length=titles.MAX_TITLE)]
    year: Annotated[int, Field(ge=titles.FIRST_YEAR, le=titles.LAST_YEAR)]
    countries: Annotated[tuple[_Code, ...], _List, Field(min_length=1)]
    languages: Annotated[tuple[_Language, ...], _List, Field(min_length=1)]
    genres: Annotated[tuple[str, ...], _List, Field(min_length=1, max_length=4), _one_of(GENRES)]
    runtime: Annotated[int, Field(ge=20, le=450)]
    family: Family
    directors: Annotated[tuple[str, ...], _List, Field(min_length=1, max_length=3)]
    series: _Slug
    renown: _Step
    moods: Annotated[
        Mapping[str, Annotated[float, Field(ge=0.2, le=1)]],
        BeforeValidator(_split_weights),
        Field(min_length=1, max_length=4),
        _one_of(vocabulary.MOODS),
    ]
    tone: Annotated[str, _one_of(FILM_TONES)]
    pace: _Step
    warmth: _Step
    darkness: _Step
    themes: Annotated[
        tuple[Annotated[_Slug, Field(min_length=1)], ...], _List, Field(min_length=3, max_length=8)
    ]

    @cached_property
    def key(self) -> str:
        """Spelling key of the title."""
        return titles.key(self.title)

    @cached_property
    def film_key(self) -> str:
        """Key of the film, which is unique."""
        return titles.film_key(self.title, self.year)

    @property
    def names(self) -> dict[str, tuple[str, str]]:
        """Spelling key -> name and language, of its title and its original title."""
        own = {self.key: (self.title, "en" if self.original_title else self.languages[0])}
        if not self.original_title:
            return own
        return {titles.key(self.original_title): (self.original_title, self.languages[0])} | own


def youngest(*families: Family | None) -> Family | None:
    """Return the youngest of these audiences; ``None`` is no limit."""
    limits = [family for family in families if family is not None]
    return min(limits, key=FAMILIES.index, default=None)


def suitable(family: Family | None) -> tuple[str, ...]:
    """Return the ratings of films that suit an audience; all of them without a limit."""
    return FAMILIES[: FAMILIES.index(family) + 1] if family else FAMILIES


COLUMNS: Final = tuple(field.name for field in fields(ShippedFilm))


def read(lines: Iterable[str], name: str) -> Iterator[ShippedFilm]:
    """Yield the films of a data file.

    Raises:
        CatalogueError: names file, line, field and what is wrong with it.
    """
    rows = csv.reader(lines)
    if tuple(next(rows, ())) != COLUMNS:
        raise CatalogueError(f"{name}:1: the header must be {','.join(COLUMNS)}")
    reader = TypeAdapter(ShippedFilm)
    for row in rows:
        where = f"{name}:{rows.line_num}"
        if len(row) != len(COLUMNS):
            raise CatalogueError(f"{where}: {len(row)} fields instead of {len(COLUMNS)}")
        try:
            yield reader.validate_python(dict(zip(COLUMNS, row, strict=True)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise CatalogueError(f"{where}: {first['loc'][0]}: {first['msg']}") from None


@cache
def films() -> tuple[ShippedFilm, ...]:
    """Return the films that ship with the station, oldest first."""
    folder = resources.files("moodflix.data") / "films"
    shipped = [
        film
        for file in folder.iterdir()
        if file.name.endswith(".csv")
        for film in read(file.read_text(encoding="utf-8").splitlines(), file.name)
    ]
    return tuple(sorted(shipped, key=lambda film: (film.year, film.title)))


@cache
def _films_by_name() -> Mapping[str, list[tuple[str, ShippedFilm]]]:
    index: dict[str, list[tuple[str, ShippedFilm]]] = {}
    for film in films():
        for key, (name, _) in film.names.items():
            index.setdefault(key, []).append((name, film))
    return index


@cache
def _films_by_key() -> Mapping[str, ShippedFilm]:
    return {film.film_key: film for film in films()}


def by_film_key(film_key: str) -> ShippedFilm | None:
    """Return the shipped film with this film key."""
    return _films_by_key().get(film_key)


def find(title: str, year: int | None = None) -> ShippedFilm | None:
    """Return the shipped film that a title or original title means."""
    meant = titles.meant(_films_by_name().get(titles.key(title), ()), title, year)
    return meant[0] if meant else None


@lru_cache(maxsize=10_000)
def key_of(title: str) -> str:
    """Return the film key of the shipped film that a title means, else one made of the title."""
    film = None if titles.split_year(title)[1] else find(title)
    return film.film_key if film else titles.film_key(title)


def clear_title(sent: str, film_key: str, title: str | None) -> str:
    """Return a title that means just this film: the one that was sent, or one with the year."""
    if key_of(sent) == film_key:
        return sent
    return titles.with_year(title or sent, film_key)
