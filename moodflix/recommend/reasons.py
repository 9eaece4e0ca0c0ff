"""Why a film is here: one sentence, made only of facts that hold for this pick."""

from __future__ import annotations

from collections.abc import Collection

from moodflix import evening
from moodflix.models import Film
from moodflix.perception.words import canonical_mood
from moodflix.recommend import policy
from moodflix.recommend.ranking import CATALOGUE, CONTEXT, LLM, Query

_MOODS = {
    "happy": "a happy",
    "sad": "a sad",
    "angry": "an angry",
    "fear": "an anxious",
    "disgust": "a fed-up",
    "surprise": "a curious",
    "neutral": "a calm",
}
_WEATHER = {
    "rain": "rainy",
    "snow": "snowy",
    "storm": "stormy",
    "fog": "foggy",
    "clouds": "cloudy",
    "clear": "clear",
}
_MAX_QUOTE = 200


def why(
    sources: Collection[str], film: Film | None, query: Query, chosen: int, llm_said: str
) -> str:
    """Return one sentence on why a film is in the list.

    Args:
        sources: the recommenders that named it.
        film: what the catalogue knows of it, if anything.
        query: the evening.
        chosen: how often it was chosen at this station.
        llm_said: the LLM's own reason, quoted as its own.
    """
    parts = []
    if CATALOGUE in sources and film is not None:
        parts.append(_by_traits(film, query))
    if CONTEXT in sources and chosen:
        parts.append(f"chosen {_times(chosen)} at this station")
    if LLM in sources:
        parts.append(
            f"the LLM says: \u201c{_quote(llm_said)}\u201d" if llm_said else "named by the LLM"
        )
    if not parts:
        parts.append("known at this station")
    sentence = "; ".join(parts)
    end = "" if sentence.endswith(("\u201d", ".")) else "."
    return sentence[0].upper() + sentence[1:] + end


def _by_traits(film: Film, query: Query) -> str:
    genre = film.genres[0]
    kind = {
        "comedy": "comedy",
        "drama": "drama",
        "documentary": "documentary",
        "musical": "musical",
        "western": "western",
        "thriller": "thriller",
        "romance": "romance",
        "mystery": "mystery",
    }.get(genre, f"{genre} film")
    said = f"{_article(film.tone)} {film.tone} {kind}"
    mood = canonical_mood(query.context.get("mood", ""))
    if mood in film.moods:
        said += f" that suits {_MOODS[mood]} mood"
    weather = evening.weather(query.context.get("weather_desc"))
    traits = policy.WEATHER.get(weather or "", {})
    matched = [theme for theme in film.themes if f"theme:{theme}" in traits]
    if weather and matched:
        said += (
            f", with {matched[0]} in it for {_article(_WEATHER[weather])} {_WEATHER[weather]} day"
        )
    named = [theme for theme in film.themes if f"theme:{theme}" in policy.words(query.words)]
    if named:
        said += f", about {named[0]} as you asked"
    return said


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _quote(said: str) -> str:
    said = said.strip("\u201c\u201d\"' ")
    return said if len(said) <= _MAX_QUOTE else said[: _MAX_QUOTE - 1].rstrip() + "\u2026"
