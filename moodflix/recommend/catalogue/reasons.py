"""Why a film is here: one sentence, made only of facts that hold for this pick.

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
_WEATHER: Final[Mapping[str, tuple[str, ...]]] = {
    "rain": ("rain", "storm"),
    "snow": ("snow", "winter"),
    "storm": ("storm", "rain"),
    "fog": ("mist",),
    "clear": ("sun", "summer", "sea"),
}
# The theme that is the weather itself.
_SAME: Final = {"rain": "rain", "snow": "snow", "storm": "storm", "fog": "mist"}
# Mood weights from which a film suits a mood, and suits it well.
_SUITS, _WELL = 0.5, 0.8
# Scales of a film and the end (1 high, -1 low) that may be named; from which step on, and from
# which weight in the policy.
_STEPS: Final = (("pace", 1), ("pace", -1), ("warmth", 1), ("darkness", -1))
_HIGH, _LOW, _MIN_STEP = 4, 2, 0.3
# Tones that imply warmth, which is then not named again.
_WARM: Final = ("warm", "tender")
_MAX_FITTING = 2
# Share of a film's choices that were made on evenings like this one, from which these are named.
_MIN_SHARE = 1 / 3
_KIND: Final = {"other": "theme"}
_MAX_QUOTE = 200


class _Word(str):
    """A word that a template may ask for with its article (``a``) or particle (``이/가``)."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec == "a":
            return f"{'an' if self[0] in 'aeiou' else 'a'} {self}"
        if "/" in spec:
            closed, open_ = spec.split("/")
            # Hangul syllables come in 28s, by final consonant; the first of them has none.
            return self + (closed if (ord(self[-1]) - 0xAC00) % 28 else open_)
        return str(self)


@cache
def _words(language: Language) -> Mapping[str, Mapping[str, _Word]]:
    found: dict[str, dict[str, _Word]] = defaultdict(dict)
    for row in data.table("reasons.csv"):
        found[row["kind"]][row["name"]] = _Word(row[language])
    return found


class Reasons:
    """Explains, for one evening and in one language, why films are in its list."""

    def __init__(self, query: Query, language: Language = "en") -> None:
        """Collect what the evening asks for, once for all films."""
        self._query = query
        self._words = _words(language)
        self._korean = language == "ko"
        self._named = query.words.wishes.themes()
        now = ((kind, query.evening[kind]) for kind in ("mood", "weather", "weekday"))
        self._now = {kind: word for kind, word in now if word}
        weights = [traits.for_evening(query)]
        # An unknown mood is ranked as neutral, but is not called so.
        if mood := self._now.get("mood"):
            weights.append(traits.for_mood(mood, query.intent))
        self._step_weights = {
            name: sum(each.get(name, 0) for each in weights) for name, _ in _STEPS
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
            chosen: how often it was chosen here in each mood, weather and on each weekday, by its
                word, and at all under ``""``.
            llm_reason: the LLM's own reason, quoted as its own.
        """
        about, fitting, more = self._by_traits(film) if film else ([], [], [])
        if chosen.get(""):
            more.append(self._times(chosen))
        quote = _quote(llm_reason) if LLM in sources else ""
        if LLM in sources and not quote:
            more.append(self._fill("named"))
        if not (film or more or quote):
            more.append(self._fill("known"))
        sentence = self._joined(film, about, fitting, more)
        if not quote:
            return self._fill("end", sentence=sentence)
        return self._fill("llm" if sentence else "llm-alone", sentence=sentence, quote=quote)

    def _joined(
        self, film: ShippedFilm | None, about: list[str], fitting: list[str], more: list[str]
    ) -> str:
        """Join the parts: after the film in English, before it in Korean."""
        kind, tone = self._fill("film"), ""
        if film:
            kind, tone = self._words["genre"][film.genres[0]], self._words["tone"][film.tone]
        if self._korean:
            parts = ", ".join([*about, *fitting, *more])
            return " ".join(filter(None, (parts, tone, kind))) if parts or film else ""
        head = f"{tone:a} {kind}" if film else ""
        if fitting:
            head += f" that {' and '.join(fitting)}"
            more = about + more
        elif about:
            head += f" {about[0]}"
        sentence = "; ".join(filter(None, (head, *more)))
        return sentence[:1].upper() + sentence[1:]

    def _by_traits(self, film: ShippedFilm) -> tuple[list[str], list[str], list[str]]:
        """Return what it is about, which of its traits match, and which limits it keeps."""
        themes = [each for each in film.themes if each in self._words["theme"]]
        named = next((each for each in themes if each in self._named - {film.genres[0]}), None)
        fitting = list(self._fitting(film, named))[:_MAX_FITTING]
        about = [] if named is None else [self._fill("about", theme=named)]
        if not fitting and not about and len(themes) > 1:
            # Nothing of the evening matches.
            about = [self._fill("themes", theme=themes[0], other=themes[1])]
        more = []
        query = self._query
        if query.max_minutes and film.runtime <= query.max_minutes:
            more.append(self._fill("minutes", minutes=film.runtime, most=query.max_minutes))
        if query.family and film.family in query.families:
            more.append(self._fill(f"family-{film.family}"))
        return about, fitting, more

    def _fitting(self, film: ShippedFilm, named: str | None) -> Iterator[str]:
        """Yield how the film fits the mood, the weather (but for a named theme) and the policy."""
        mood, weather = (self._now.get(kind, "") for kind in ("mood", "weather"))
        if film.moods.get(mood, 0) >= _SUITS:
            yield self._fill("mood-well" if film.moods[mood] >= _WELL else "mood", mood=mood)
        theme = next((each for each in _WEATHER.get(weather, ()) if each in film.themes), None)
        if theme and theme != named:
            like = "like" if _SAME.get(weather) == theme else "for"
            yield self._fill(f"weather-{like}", theme=theme, weather=weather)
        for name, way in _STEPS:
            step = getattr(film, name)
            if name == "warmth" and film.tone in _WARM:
                continue
            if self._step_weights[name] * way >= _MIN_STEP and (
                step >= _HIGH if way > 0 else step <= _LOW
            ):
                yield self._fill(f"{name}-{'high' if way > 0 else 'low'}")

    def _times(self, chosen: Mapping[str, int]) -> str:
        """Return how often it was chosen: on evenings like this if those are many, else at all."""
        alike = {
            kind: chosen[word]
            for kind, word in self._now.items()
            if chosen.get(word, 0) >= _MIN_SHARE * chosen[""]
        }
        kind = max(alike, key=lambda each: alike[each], default="all")
        count = alike.get(kind, chosen[""])
        once = "-once" if count == 1 and kind in ("weather", "weekday") else ""
        times = self._words["times"].get(str(count), self._words["times"]["many"])
        word = {kind: self._now.get(kind)}
        return self._fill(f"chosen-{kind}{once}", times=times.format(count=count), **word)

    def _fill(self, name: str, **words: object) -> str:
        """Fill a template, with themes, moods, weathers and weekdays in its language."""
        named = {
            place: self._words.get(_KIND.get(place, place), {}).get(str(word), word)
            for place, word in words.items()
        }
        return self._words["template"][name].format(**named)


def _quote(reason: str) -> str:
    reason = reason.strip("\u201c\u201d\"' ")
    return reason if len(reason) <= _MAX_QUOTE else reason[: _MAX_QUOTE - 1].rstrip() + "\u2026"
