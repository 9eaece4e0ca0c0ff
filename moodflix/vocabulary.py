"""The station's vocabulary: moods, tones of voice, weather, days, sources, recommenders.

Front-ends send free text in English or Korean ("light rain", "맑음", "수요일", "우울해요"). These
functions map it to fixed words, which all other code compares; ``None`` always means unknown.
``data/lexicon.csv`` has the synonyms of moods and tones.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple

from moodflix import data

# The names under which answers, logs and reasons know the recommenders; the LLM is a source of
# moods and tones as well.
CATALOGUE, LEARNED, LLM = "catalogue", "context", "llm"
NEUTRAL: Final = "neutral"
# What the films should do to the mood: repair it, stay with it, or the policy's mix of both.
Intent = Literal["lift", "stay", "auto"]
MOODS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", NEUTRAL)
# Signals that a mood or tone is read from.
HAND, WORDS, FACE, VOICE = "hand", "words", "face", "voice"
NONE: Final = "none"
VOICE_TONES: Final = ("excited", "subdued", NEUTRAL, "happy", "angry", "sad")


class Entry(NamedTuple):
    """A stem of the lexicon: its mood (or what else it does), weight and tone."""

    stem: str
    language: str
    mood: str
    weight: float
    tone: str

    @property
    def open_ended(self) -> bool:
        """Whether endings may follow, as they do in Korean: 우울해요 is 우울."""
        return self.stem[-1] == "*" or (self.language == "ko" and self.stem[-1] != "$")


@cache
def lexicon() -> tuple[Entry, ...]:
    """Return the stems, longest first, so that a phrase comes before the words in it."""
    entries = [
        Entry(stem, row["language"], row["mood"], float(row["weight"]), row["tone"])
        for row in data.table("lexicon.csv")
        for stem in row["stem"].casefold().split(";")
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.stem[0] == "*", -len(entry.stem))))


def _look_up(
    label: str | None, known: tuple[str, ...], field: Callable[[Entry], str]
) -> str | None:
    """Return the label if it is known, else what the lexicon has for it in a field."""
    word = (label or "").strip().casefold()
    if word in known:
        return word
    for entry in lexicon():
        stem = entry.stem.rstrip("*$")
        matches = word == stem or (entry.open_ended and word.startswith(stem))
        if matches and field(entry) in known:
            return field(entry)
    return None


@lru_cache(maxsize=1_000)
def mood(label: str | None) -> str | None:
    """Map a mood word to one of ``MOODS``, or ``None`` when the lexicon has none for it."""
    return _look_up(label, MOODS, lambda entry: entry.mood)


@lru_cache(maxsize=1_000)
def tone(label: str | None) -> str | None:
    """Map a word for a tone of voice to one of ``VOICE_TONES``, or ``None``."""
    return _look_up(label, VOICE_TONES, lambda entry: entry.tone)


WEATHERS: Final = ("clear", "clouds", "rain", "snow", "storm", "fog")
# Order matters: "thunderstorm with rain" is a storm, "snow and rain" is snow.
_WEATHER: Final = {
    "storm": re.compile("storm|thunder|typhoon|hurricane|squall|tornado|뇌우|천둥|태풍|폭풍"),
    "snow": re.compile("snow|sleet|blizzard|눈|진눈깨비"),
    "rain": re.compile("rain|drizzle|shower|wet|비|소나기|이슬비"),
    "fog": re.compile("fog|mist|haze|smoke|dust|sand|ash|안개|연무|황사|먼지"),
    "clouds": re.compile("cloud|overcast|grey|gray|dull|구름|흐림|흐린"),
    "clear": re.compile("clear|sun|fair|bright|fine|맑"),
}
# What front-ends send in place of a value that they don't have yet; "laoading" is what the old one
# sends before its weather call returns.
PLACEHOLDERS: Final = frozenset(
    ("", *"laoading loading unknown undefined null none nan n/a - error".split())
)

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KOREAN_WEEKDAYS: Final = "월화수목금토일"

DAY_KINDS: Final = ("work", "holiday")
_DAY_KINDS: Final = {
    "holiday": re.compile(
        r"holi|vacation|week-?end|free|rest|\boff\b|day-?off|christmas|leave|쉬는|휴일|공휴|주말|휴가"
    ),
    "work": re.compile("work|school|week-?day|busy|office|normal|평일|근무|출근|일하|학교"),
}


def _first_found(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    return next((name for name, pattern in patterns.items() if pattern.search(text)), None)


def number(text: str | None) -> float | None:
    """Return a finite number written as text, or ``None``."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def weather(text: str | None) -> str | None:
    """Return clear, clouds, rain, snow, storm or fog for a description of the weather."""
    folded = (text or "").strip().casefold()
    return None if folded in PLACEHOLDERS else _first_found(folded, _WEATHER)


def temperature(celsius: float | None) -> str | None:
    """Return freezing (<= 0 °C), cold (< 10), mild (< 20), warm (< 28) or hot."""
    if celsius is None:
        return None
    names = ("freezing", "cold", "mild", "warm", "hot")
    return names[bisect_right((0.0001, 10, 20, 28), celsius)]


def weekday(text: str | None) -> str | None:
    """Return the English weekday in lower case for "Wed", "wednesday" or "수요일"."""
    word = (text or "").strip().casefold().rstrip(".")
    if word and word[0] in _KOREAN_WEEKDAYS and word[1:] in ("", "요일"):
        return WEEKDAYS[_KOREAN_WEEKDAYS.index(word[0])]
    if len(word) < len("mon"):
        return None
    return next((day for day in WEEKDAYS if day.startswith(word)), None)


def day_kind(text: str | None) -> str | None:
    """Return work or holiday for a word about today or tomorrow."""
    return _first_found((text or "").casefold(), _DAY_KINDS)


def part_of_day(hour: int | None) -> str | None:
    """Return morning (from 5), afternoon (12), evening (17) or night (22) for an hour 0-23."""
    if hour is None:
        return None
    names = ("night", "morning", "afternoon", "evening", "night")
    return names[bisect_right((5, 12, 17, 22), hour)]


Evening = Mapping[str, str | None]


def evening(context: Mapping[str, str], hour: int | None) -> Evening:
    """Return what the context columns and the hour mean, in the words of the functions above."""
    return {
        "tone": tone(context.get("tone")),
        "weather": weather(context.get("weather_desc")),
        "temperature": temperature(number(context.get("temperature"))),
        "hour": part_of_day(hour),
        "weekday": weekday(context.get("weekday")),
        "today": day_kind(context.get("today_status")),
        "tomorrow": day_kind(context.get("tomorrow_status")),
    }
