"""Explains why a film is recommended: one sentence, made only of facts that hold for this pick.

The words of both languages are in ``data/reasons.csv``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Final

from moodflix import data
from moodflix.films.shipped import ShippedFilm
from moodflix.recommend.catalogue import traits
from moodflix.recommend.query import Query
from moodflix.requests import Language
from moodflix.vocabulary import LLM

# Themes that suit a weather, the nearest first.
_THEMES_FOR_WEATHER: Final[Mapping[str, tuple[str, ...]]] = {
    "rain": ("rain", "storm"),
    "snow": ("snow", "winter"),
    "storm": ("storm", "rain"),
    "fog": ("mist",),
    "clear": ("sun", "summer", "sea"),
}
# The theme that is the weather itself.
_THEME_OF_WEATHER: Final = {"rain": "rain", "snow": "snow", "storm": "storm", "fog": "mist"}
# Mood weights from which a film suits a mood, and suits it well.
_SUITS, _WELL = 0.5, 0.8
# Scales of a film and the end (1 high, -1 low) that may be named: from these steps on, and if the
# policy's weight is at least the last.
_SCALES: Final = (("pace", 1), ("pace", -1), ("warmth", 1), ("darkness", -1))
_HIGH, _LOW, _MIN_WEIGHT = 4, 2, 0.3
# Tones that imply warmth, which is then not named again.
_WARM_TONES: Final = ("warm", "tender")
_MAX_FIT_PHRASES = 2
# Choices on evenings like this one are named from this share of a film's choices on.
_MIN_SHARE = 1 / 3
# Placeholders of templates whose words are in the table of another kind.
_KIND: Final = {"other": "theme"}
_MAX_QUOTE = 200


class _Word(str):
    """A word that a template may ask for with its article (``a``) or particle (``이/가``)."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec == "a":
            return f"{'an' if self[0] in 'aeiou' else 'a'} {self}"
        if "/" in spec:
            after_consonant, after_vowel = spec.split("/")
            # Hangul syllables come in 28s, by final consonant; the first of them has none.
            ends_in_consonant = (ord(self[-1]) - 0xAC00) % 28
            return self + (after_consonant if ends_in_consonant else after_vowel)
        return str(self)


@cache
def _words(language: Language) -> Mapping[str, Mapping[str, _Word]]:
    """Return the words of a language by kind and name."""
    words: dict[str, dict[str, _Word]] = defaultdict(dict)
    for row in data.table("reasons.csv"):
        words[row["kind"]][row["name"]] = _Word(row[language])
    return words


class Reasons:
    """Explains, for one evening and in one language, why films are in its list."""

    def __init__(self, query: Query, language: Language = "en") -> None:
        """Collect what the evening asks for, once for all films."""
        self._query = query
        self._words = _words(language)
        self._korean = language == "ko"
        self._named = query.words.wishes.themes()
        evening = ((kind, query.evening[kind]) for kind in ("mood", "weather", "weekday"))
        self._known = {kind: word for kind, word in evening if word}
        weights = [traits.for_evening(query)]
        # An unknown mood is ranked as neutral, but is not called so.
        if mood := self._known.get("mood"):
            weights.append(traits.for_mood(mood, query.intent))
        self._scale_weights = {
            name: sum(part.get(name, 0) for part in weights) for name, _ in _SCALES
        }

    def why(
        self,
        sources: Collection[str],
        film: ShippedFilm | None,
        chosen: Mapping[str, int],
        llm_reason: str = "",
    ) -> str:
        """Return one sentence about a recommended film.

        Args:
            sources: the recommenders that named it.
            film: the shipped film, if it is one.
            chosen: how often it was chosen here, by mood, weather and weekday; ``""``: in total.
            llm_reason: the LLM's own reason, which is quoted.
        """
        about, fits, facts = self._trait_phrases(film) if film else ([], [], [])
        if chosen.get(""):
            facts.append(self._chosen_phrase(chosen))
        quote = _quote(llm_reason) if LLM in sources else ""
        if LLM in sources and not quote:
            facts.append(self._fill("named"))
        if not (film or facts or quote):
            facts.append(self._fill("known"))
        sentence = self._joined(film, about, fits, facts)
        if not quote:
            return self._fill("end", sentence=sentence)
        return self._fill("llm" if sentence else "llm-alone", sentence=sentence, quote=quote)

    def _joined(
        self, film: ShippedFilm | None, about: list[str], fits: list[str], facts: list[str]
    ) -> str:
        """Join the phrases: after the film in English, before it in Korean."""
        kind, tone = self._fill("film"), ""
        if film:
            kind, tone = self._words["genre"][film.genres[0]], self._words["tone"][film.tone]
        if self._korean:
            parts = ", ".join([*about, *fits, *facts])
            return " ".join(filter(None, (parts, tone, kind))) if parts or film else ""
        head = f"{tone:a} {kind}" if film else ""
        if fits:
            head += f" that {' and '.join(fits)}"
            facts = about + facts
        elif about:
            head += f" {about[0]}"
        sentence = "; ".join(filter(None, (head, *facts)))
        return sentence[:1].upper() + sentence[1:]

    def _trait_phrases(self, film: ShippedFilm) -> tuple[list[str], list[str], list[str]]:
        """Return phrases of what it is about, how it fits the evening, and what limits it keeps."""
        themes = [theme for theme in film.themes if theme in self._words["theme"]]
        named = next((theme for theme in themes if theme in self._named - {film.genres[0]}), None)
        fits = list(self._fit_phrases(film, named))[:_MAX_FIT_PHRASES]
        about = [] if named is None else [self._fill("about", theme=named)]
        if not fits and not about and len(themes) > 1:
            # Nothing of the evening matches.
            about = [self._fill("themes", theme=themes[0], other=themes[1])]
        facts = []
        query = self._query
        if query.max_minutes and film.runtime <= query.max_minutes:
            facts.append(self._fill("minutes", minutes=film.runtime, most=query.max_minutes))
        if query.family and film.family in query.families:
            facts.append(self._fill(f"family-{film.family}"))
        return about, fits, facts

    def _fit_phrases(self, film: ShippedFilm, named: str | None) -> Iterator[str]:
        """Yield how the film fits mood, weather (unless by a named theme) and policy."""
        mood, weather = (self._known.get(kind, "") for kind in ("mood", "weather"))
        if film.moods.get(mood, 0) >= _SUITS:
            yield self._fill("mood-well" if film.moods[mood] >= _WELL else "mood", mood=mood)
        fitting_themes = _THEMES_FOR_WEATHER.get(weather, ())
        theme = next((theme for theme in fitting_themes if theme in film.themes), None)
        if theme and theme != named:
            like = "like" if _THEME_OF_WEATHER.get(weather) == theme else "for"
            yield self._fill(f"weather-{like}", theme=theme, weather=weather)
        for name, end in _SCALES:
            if name == "warmth" and film.tone in _WARM_TONES:
                continue
            step = getattr(film, name)
            is_at_end = step >= _HIGH if end > 0 else step <= _LOW
            if is_at_end and self._scale_weights[name] * end >= _MIN_WEIGHT:
                yield self._fill(f"{name}-{'high' if end > 0 else 'low'}")

    def _chosen_phrase(self, chosen: Mapping[str, int]) -> str:
        """Say how often it was chosen: on evenings like this one if often, else in total."""
        counts = {kind: chosen.get(word, 0) for kind, word in self._known.items()}
        kind = max(counts, key=lambda kind: counts[kind], default="")
        count = counts.get(kind, 0)
        if count < _MIN_SHARE * chosen[""]:
            kind, count = "all", chosen[""]
        once = "-once" if count == 1 and kind in ("weather", "weekday") else ""
        times = self._words["times"].get(str(count), self._words["times"]["many"])
        word = {kind: self._known.get(kind)}
        return self._fill(f"chosen-{kind}{once}", times=times.format(count=count), **word)

    def _fill(self, name: str, **words: object) -> str:
        """Fill a template, with themes, moods, weathers and weekdays in its language."""
        translated = {}
        for placeholder, word in words.items():
            known = self._words.get(_KIND.get(placeholder, placeholder), {})
            translated[placeholder] = known.get(str(word), word)
        return self._words["template"][name].format(**translated)


def _quote(reason: str) -> str:
    reason = reason.strip("\u201c\u201d\"' ")
    return reason if len(reason) <= _MAX_QUOTE else reason[: _MAX_QUOTE - 1].rstrip() + "\u2026"
