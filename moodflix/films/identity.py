"""Which film a title means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from moodflix.films import titles

# A year sent may be this wrong: remakes are further apart.
_MAX_YEARS_OFF: Final = 5


class KnownFilm(Protocol):
    """A film that can be identified, shipped or from the database."""

    @property
    def film_key(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def year(self) -> int: ...
    @property
    def renown(self) -> int: ...


F = TypeVar("F", bound=KnownFilm)


def meant(names: Iterable[tuple[str, F]], title: str, year: int | None = None) -> list[F]:
    """Return the films that a title means equally well by its spelling, the likeliest first.

    The nearest year decides, if one is given or stands in the title; then the exact spelling, then
    a film's own title before its further names. Of those left the best-known comes first, then
    the newest.

    Args:
        names: each name that has the title's spelling key, and its film.
        title: as sent.
        year: the year that is meant, if known from elsewhere.
    """
    if year is None:
        year = titles.split_year(title)[1]
    near = []
    for spelling, film in names:
        difference = titles.difference(title, spelling)
        years = 0 if year is None else abs(film.year - year)
        if difference is not None and years <= _MAX_YEARS_OFF:
            near.append(((years, difference, spelling != film.title), film))
    nearest = min((distance for distance, _ in near), default=None)
    best = {film.film_key: film for distance, film in near if distance == nearest}
    return sorted(best.values(), key=lambda film: (-film.renown, -film.year))
