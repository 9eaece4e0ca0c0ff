"""Write a plausible log of choices as the documented CSV: the same bytes at every run.

Five people in four cities pick films through a year. What they pick depends on the evening: the
mood asks for films that suit it, rain and snow for films with rain and snow in them, a free day
tomorrow for long and loud ones, a working day for warm and short ones, and each has a taste.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TextIO

from moodflix.films import shipped
from moodflix.films.shipped import ShippedFilm

COLUMNS = (
    "clientSentAt,city,lat,lon,today_status,tomorrow_status,weekday,weather_desc,temperature,"
    "mood,tone,movie_title"
).split(",")
SEED = 20251001
START = datetime(2024, 10, 1, tzinfo=timezone.utc)
DAYS = 365
SATURDAY = 5
HOT = 24
SHELF = (
    "12 Angry Men;A Taxi Driver;Amélie;Before Sunrise;Burning;Chef;Christmas in August;"
    "Chungking Express;Coco;Decision to Leave;Extreme Job;Get Out;Home Alone;"
    "In the Mood for Love;Inside Out;Interstellar;La La Land;Little Forest;"
    "Lost in Translation;Mad Max: Fury Road;Memories of Murder;Miss Granny;Mother;"
    "My Neighbor Totoro;Paddington 2;Parasite;Past Lives;Perfect Days;School of Rock;Se7en;"
    "Shoplifters;Singin' in the Rain;Sunny;The Grand Budapest Hotel;The Matrix;The Shining;"
    "The Truman Show;Train to Busan;Vertigo;Your Name."
).split(";")
# What a mood sounds like; the first is the likeliest.
TONES = {
    "angry": ("angry", "excited", "subdued"),
    "disgust": ("subdued", "angry", "neutral"),
    "fear": ("subdued", "neutral", "sad"),
    "happy": ("happy", "excited", "neutral"),
    "sad": ("sad", "subdued", "neutral"),
    "surprise": ("excited", "happy", "neutral"),
    "neutral": ("neutral", "subdued", "happy"),
}
# Words of the sky as OpenWeather gives them, by what falls from it.
SKIES = {
    "clear": ("clear sky",),
    "clouds": ("few clouds", "scattered clouds", "broken clouds", "overcast clouds"),
    "rain": ("light rain", "moderate rain", "shower rain", "thunderstorm with rain"),
    "snow": ("light snow", "snow"),
    "fog": ("mist", "haze", "fog"),
}


@dataclass(frozen=True)
class City:
    """Where someone lives; yearly mean and swing of the temperature in °C, hours from UTC."""

    name: str
    lat: str
    lon: str
    mean: float
    swing: float
    hours: int
    # How wet each season is: winter, spring, summer, autumn.
    wet: tuple[float, float, float, float]


SEOUL = City("Seoul", "37.5665", "126.9780", 12.5, 14.0, 9, (0.2, 0.25, 0.5, 0.2))
BUSAN = City("Busan", "35.1796", "129.0756", 15.0, 11.0, 9, (0.15, 0.3, 0.45, 0.25))
SAN_FRANCISCO = City("San Francisco", "37.7749", "-122.4194", 14.5, 3.5, -8, (0.4, 0.2, 0.03, 0.15))
BERLIN = City("Berlin", "52.5200", "13.4050", 10.0, 10.5, 1, (0.4, 0.3, 0.3, 0.35))


@dataclass(frozen=True)
class Person:
    """Who chooses: where, what genres and countries they lean to, how often they are how."""

    city: City
    likes: tuple[str, ...]
    moods: Mapping[str, int]


@dataclass(frozen=True)
class Evening:
    """What a film is chosen by."""

    mood: str
    sky: str
    celsius: float
    tomorrow: str


PEOPLE = (
    Person(SEOUL, ("thriller", "crime", "KR"), {"neutral": 4, "angry": 3, "surprise": 3, "sad": 1}),
    Person(SEOUL, ("romance", "family"), {"happy": 5, "sad": 4, "neutral": 2, "fear": 2}),
    Person(BUSAN, ("comedy", "KR"), {"happy": 4, "disgust": 3, "angry": 2, "neutral": 2}),
    Person(SAN_FRANCISCO, ("sci-fi", "mystery"), {"surprise": 4, "neutral": 3, "fear": 2}),
    Person(BERLIN, ("drama", "music"), {"sad": 5, "disgust": 2, "happy": 2, "neutral": 2}),
)


def rows() -> Iterator[tuple[str, ...]]:
    """Yield the rows in order of time, the last of them the title."""
    draw = random.Random(SEED)
    shelf = _shelf()
    for day in range(DAYS):
        for person in PEOPLE:
            # Free evenings are for films.
            if draw.random() < (0.4 if _free(day) or _free(day + 1) else 0.2):
                yield _evening(draw, day, person, shelf)


def _free(day: int) -> bool:
    moment = START + timedelta(days=day)
    return moment.weekday() >= SATURDAY or (moment.month, moment.day) in {(12, 25), (1, 1), (5, 5)}


def _evening(
    draw: random.Random, day: int, person: Person, shelf: list[ShippedFilm]
) -> tuple[str, ...]:
    city = person.city
    moment = START + timedelta(
        days=day, hours=18 - city.hours, minutes=int(draw.random() * 300), seconds=draw.random()
    )
    # The coldest day is about the 20th of January.
    since_coldest = (moment - datetime(2025, 1, 20, tzinfo=timezone.utc)).days
    usual = city.mean - city.swing * math.cos(2 * math.pi * since_coldest / 365)
    celsius = round(usual + (draw.random() - 0.5) * 9, 1)
    sky = _sky(draw, city.wet[moment.month % 12 // 3], celsius)
    mood = draw.choices(list(person.moods), list(person.moods.values()))[0]
    tone = draw.choices(TONES[mood], (6, 3, 1))[0]
    today, tomorrow = ("holiday" if _free(each) else "work" for each in (day, day + 1))
    weights = [_pull(film, person, Evening(mood, sky, celsius, tomorrow)) for film in shelf]
    film = draw.choices(shelf, weights)[0]
    return (
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        city.name,
        city.lat,
        city.lon,
        today,
        tomorrow,
        (START + timedelta(days=day)).strftime("%A"),
        draw.choices(SKIES[sky])[0],
        f"{celsius:g}",
        mood,
        tone,
        film.title,
    )


def _sky(draw: random.Random, wet: float, celsius: float) -> str:
    if draw.random() < wet:
        return "rain" if celsius > 1 else "snow"
    return draw.choices(("clear", "clouds", "fog"), (5, 4, 1))[0]


def _pull(film: ShippedFilm, person: Person, evening: Evening) -> float:
    """Return how strongly a film pulls on such an evening."""
    words = {*film.genres, *film.themes, *film.countries, film.tone}
    score = 1.6 * (evening.mood in film.moods)
    score += 0.7 * len(words.intersection(person.likes))
    if evening.sky in ("rain", "fog"):
        score += 1.5 * bool(words & {"rain", "melancholic", "detective", "mist"})
    if evening.sky == "snow" or evening.celsius < 0:
        score += 2.0 * bool(words & {"snow", "winter", "christmas"})
    if evening.celsius > HOT:
        score += 1.2 * bool(words & {"summer", "sea"})
    loud = bool(words & {"tense", "epic", "dark", "eerie", "playful"})
    score += 1.0 * (loud if evening.tomorrow == "holiday" else not loud)
    return math.exp(score)


def _shelf() -> list[ShippedFilm]:
    known = {film.title: film for film in shipped.films()}
    return [known[title] for title in SHELF]


def write(out: TextIO) -> None:
    """Write header and rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows())


def main() -> None:
    """Write to stdout, or to the file that ``-o`` names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", help="file to write; default: stdout")
    chosen = parser.parse_args()
    if chosen.output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        write(sys.stdout)
        return
    with open(chosen.output, "w", encoding="utf-8", newline="") as out:  # noqa: PTH123
        write(out)


if __name__ == "__main__":
    main()
