"""Why a film is here: one sentence, made only of facts that hold for this pick."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
# Only themes that are the weather itself are tied to it; the nearest comes first.
_WEATHER: Mapping[str, Mapping[str, str]] = {
    "rain": {"rain": "rain in it, like today", "storm": "a storm in it, for a rainy day"},
    "snow": {"snow": "snow in it, like today", "winter": "winter in it, for a snowy day"},
    "storm": {"storm": "a storm in it, like today", "rain": "rain in it, for a stormy day"},
    "fog": {"mist": "mist in it, like today"},
    "clear": {
        "sun": "the sun in it, for a clear day",
        "summer": "summer in it, for a clear day",
        "sea": "the sea in it, for a clear day",
    },
}
_NOUNS = frozenset(
    "biography comedy drama documentary musical mystery romance thriller western".split()
)
_ADJECTIVES = {"animation": "animated", "history": "historical", "sport": "sports"}
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
    # An imported twin of a bundled title has no traits.
    if CATALOGUE in sources and film is not None and film.genres:
        parts.append(_by_traits(film, query))
    if CONTEXT in sources and chosen:
        parts.append(f"chosen {_times(chosen)} at this station")
    if LLM in sources:
        quote = _quote(llm_said)
        parts.append(f"the LLM says: \u201c{quote}\u201d" if quote else "named by the LLM")
    if not parts:
        parts.append("known at this station")
    sentence = "; ".join(parts)
    end = "" if sentence.endswith(("\u201d", ".")) else "."
    return sentence[0].upper() + sentence[1:] + end


def _by_traits(film: Film, query: Query) -> str:
    genre = film.genres[0]
    kind = genre if genre in _NOUNS else f"{_ADJECTIVES.get(genre, genre)} film"
    said = f"{_article(film.tone)} {film.tone} {kind}"
    traits = []
    label = query.context.get("mood", "").strip()
    mood = canonical_mood(label)
    # An unknown mood is ranked as neutral, but nobody said so.
    if label and mood in film.moods:
        traits.append(f"suits {_MOODS[mood]} mood")
    asked = policy.words(query.words)
    named = [theme for theme in film.themes if asked.get(f"theme:{theme}", 0) > 0]
    fitting = _WEATHER.get(evening.weather(query.context.get("weather_desc")) or "", {})
    weather = next((theme for theme in fitting if theme in film.themes), None)
    if weather:
        too = ", and you mentioned it" if weather in named else ""
        traits.append(f"has {fitting[weather]}{too}")
    if traits:
        said += f" that {' and '.join(traits)}"
    about = next((theme for theme in named if theme not in (weather, genre)), None)
    if about:
        said += f"{';' if traits else ''} about {about}, which you mentioned"
    elif not traits:
        # Nothing of the evening matched by name.
        said += f"; themes: {', '.join(film.themes[:2])}"
    return said


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _quote(said: str) -> str:
    said = said.strip("\u201c\u201d\"' ")
    return said if len(said) <= _MAX_QUOTE else said[: _MAX_QUOTE - 1].rstrip() + "\u2026"
