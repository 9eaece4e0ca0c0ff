"""The query that every recommender ranks films for, and the picks it returns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from moodflix import vocabulary
from moodflix.films import shipped, titles
from moodflix.films.shipped import Family, ShippedFilm, suitable, youngest
from moodflix.films.titles import KnownFilm
from moodflix.perception.wishes import Understanding
from moodflix.perception.words import named_mood
from moodflix.vocabulary import Intent


@dataclass(frozen=True)
class Query:
    """What films are wanted for one evening: context, words, taste and limits.

    Attributes:
        context: the ten context columns as text, blank where unknown: city, lat, lon,
            today_status, tomorrow_status, weekday, weather_desc, temperature, mood, tone.
        hour: hour of the day at the station, 0-23.
        words: the person's text, and what was understood of it.
        liked: titles that the person named now, as a hint of taste.
        loved: titles that the person loved on other evenings: a milder hint.
        excluded: keys of films that must not be recommended, the liked ones among them; a
            spelling key without a year excludes every film of that spelling.
        intent: what the films should do to the mood; if "auto", that of the words.
        max_minutes: films that are longer, or of unknown length, are left out; the lower of this
            and the limit in the words.
        family: the audience; films that are not known to suit it are left out. The younger of
            this and the one in the words.
        seed: another number brings other films; ``None``: city and date decide.
        date: the evening's date, as in 2025-12-24; blank is unknown.
        evening: mood, context and hour in the vocabulary's words; ``None`` is unknown.
        families: the ratings of films that suit the audience.
    """

    context: Mapping[str, str] = field(default_factory=dict)
    hour: int | None = None
    words: Understanding = field(default_factory=Understanding)
    liked: Sequence[str] = ()
    loved: Sequence[str] = ()
    excluded: Collection[str] = frozenset()
    intent: Intent = "auto"
    max_minutes: int | None = None
    family: Family | None = None
    seed: int | None = None
    date: str = ""
    # Derived from the others.
    evening: vocabulary.Evening = field(init=False, compare=False)
    families: Sequence[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Apply the limits that are in the words, and look the evening up in the vocabulary."""
        wishes = self.words.wishes
        minutes = [m for m in (self.max_minutes, wishes.max_minutes) if m is not None]
        family = youngest(self.family, wishes.family)
        mood = named_mood(self.context.get("mood", ""))
        derived = {
            "intent": wishes.intent if self.intent == "auto" else self.intent,
            "max_minutes": min(minutes, default=None),
            "family": family,
            "families": suitable(family),
            "evening": {"mood": mood, **vocabulary.evening(self.context, self.hour)},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def is_limited(self) -> bool:
        """Whether films may be too long, or not for these people."""
        return self.max_minutes is not None or self.family is not None

    @property
    def evening_seed(self) -> int:
        """Seed of all random choices: the same all evening for the same mood, words and intent."""
        evening = [self.date, self.context.get("city")] if self.seed is None else [self.seed]
        wish = [self.context.get("mood"), self.words.text, self.intent]
        digest = hashlib.blake2b(json.dumps([*evening, *wish]).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def admits(self, film: ShippedFilm | None) -> bool:
        """Whether a film is known to keep the limits of length and audience."""
        if film is None:
            return not self.is_limited
        short_enough = self.max_minutes is None or film.runtime <= self.max_minutes
        return short_enough and film.family in self.families


@dataclass(frozen=True)
class Pick:
    """One recommended film.

    Attributes:
        title, year: those of the film if it is known, else as the LLM named it.
        score: compares only within one list.
        why: the LLM's reason.
        known: whether it is in the table of films; false for the LLM's films until looked up.
        film: the shipped film, where a pick was made from one.
    """

    title: str
    year: int | None = None
    score: float = 0.0
    why: str = ""
    known: bool = True
    film: ShippedFilm | None = field(default=None, compare=False, repr=False)

    @cached_property
    def key(self) -> str:
        """Key of the film."""
        return self.film.film_key if self.film else titles.film_key(self.title, self.year)

    @property
    def undated_key(self) -> str:
        """Key of the film without its year."""
        return titles.film_key(titles.split_year(self.title)[0])

    @property
    def shipped_film(self) -> ShippedFilm | None:
        """The shipped film that is picked, if it is one."""
        exact = self.film or shipped.by_film_key(self.key)
        # A known film that has a year and isn't shipped may be a remake of one that is.
        is_other_film = self.known and self.year is not None
        return exact if exact or is_other_film else shipped.find(self.title, self.year)

    def identified_as(self, film: KnownFilm | None) -> Pick:
        """Return this pick with the title and year of a known film; ``None``: it is unknown."""
        if film is None:
            return replace(self, known=False)
        return replace(self, title=film.title, year=film.year, known=True)


class Recommender(Protocol):
    """Ranks films for an evening."""

    @property
    def name(self) -> str:
        """Its name in answers and logs."""
        ...

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return at most ``n`` picks, best first, no film twice, none of ``query.excluded``.

        Raises:
            RecommenderError: it can't answer now; the text has the reason.
        """
        ...


def admissible(picks: Iterable[Pick], query: Query) -> Iterator[Pick]:
    """Yield the picks that may be shown: each film once, none excluded, all within limits.

    A pick without a year counts as shown already if any film of its spelling was.
    """
    seen, seen_undated = set(query.excluded), set[str]()
    for pick in picks:
        maybe_shown = pick.key == pick.undated_key and pick.key in seen_undated
        if maybe_shown or not pick.key or not seen.isdisjoint((pick.key, titles.key(pick.title))):
            continue
        seen.add(pick.key)
        seen_undated.add(pick.undated_key)
        if not query.is_limited or query.admits(pick.shipped_film):
            yield pick
