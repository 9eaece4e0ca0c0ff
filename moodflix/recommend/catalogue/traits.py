"""What there is to a film by the names that policy and words use.

A trait is ``kind:value`` (``mood:sad``, ``theme:rain``, ``director:bong-joon-ho``) or one of
``NUMBERS``, each about -1 to 1.
"""

from __future__ import annotations

from typing import Final

from moodflix.films.shipped import ShippedFilm
from moodflix.perception.words import slug

NUMBERS: Final = ("pace", "warmth", "darkness", "renown", "length", "age")
# A trait counts less the later it stands in its list.
_BY_PLACE: Final = (1.0, 0.95, 0.85, 0.75, 0.7, 0.65, 0.6, 0.6)
_FURTHER: Final = 0.4


def film_traits(film: ShippedFilm) -> dict[str, float]:
    """Return the traits of a film, each with how much of it there is."""
    traits = {f"mood:{mood}": weight for mood, weight in film.moods.items()}
    for kind, values in (("genre", film.genres), ("theme", film.themes)):
        traits |= {f"{kind}:{value}": _BY_PLACE[at] for at, value in enumerate(values)}
    for kind, values in (("country", film.countries), ("language", film.languages)):
        traits |= {f"{kind}:{value}": _FURTHER if at else 1.0 for at, value in enumerate(values)}
    names = [f"director:{slug(name)}" for name in film.directors]
    names += [f"tone:{film.tone}", f"decade:{film.year // 10 * 10}"]
    names += [f"series:{film.series}"] if film.series else []
    steps = {name: (getattr(film, name) - 3) / 2 for name in NUMBERS[:4]}
    length = min(max((film.runtime - 110) / 40, -1.5), 2.0)
    age = min(max((1990 - film.year) / 30, -1.2), 1.5)
    return traits | dict.fromkeys(names, 1.0) | steps | {"length": length, "age": age}
