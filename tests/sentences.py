"""Splits the sentences of `why` and recomputes each claim, in both languages."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from moodflix import vocabulary
from moodflix.films.shipped import FAMILIES, ShippedFilm
from moodflix.recommend.catalogue import traits
from moodflix.recommend.query import Query
from moodflix.requests import Language
from tests.server import ROOT

LINES = (ROOT / "moodflix/data/reasons.csv").read_text(encoding="utf-8").splitlines()
ROWS = list(csv.DictReader(line for line in LINES if not line.startswith("#")))
LANGUAGES: tuple[Language, ...] = ("en", "ko")
WORDS = {
    language: {
        kind: {row[language]: row["name"] for row in ROWS if row["kind"] == kind}
        for kind in ("mood", "weather", "weekday", "tone", "genre", "theme")
    }
    for language in LANGUAGES
}
LITERAL = {
    "rain": {"rain", "storm"},
    "snow": {"snow", "winter"},
    "storm": {"storm", "rain"},
    "fog": {"mist"},
    "clear": {"sun", "summer", "sea"},
}
# Every way a clause may be put; what is in none of them fails the test.
CLAUSES = {
    "en": {
        "mood": r"suits an? (?P<mood>.+) mood(?P<well> well)?",
        "like": r"has (?P<theme>.+) in it, like today",
        "for": r"has (?P<theme>.+) in it, for a (?P<weather>.+) day",
        "fast": "moves fast",
        "slow": "takes its time",
        "warm": "has a warm heart",
        "light": "stays light",
        "named": r"about (?P<theme>.+), which you mentioned",
        "themes": r"about (?P<theme>.+) and (?P<other>.+)",
        "minutes": r"(?P<minutes>\d+) minutes, within your (?P<most>\d+)",
        "family": r"for (?P<family>.+)",
        "count": r"chosen (?P<times>\w+(?: times)?) (?:in an? (?P<mood>.+) mood"
        r"|on an? (?P<weather>.+) evening|on (?P<weathers>.+) evenings|on a (?P<weekday>\w+day)"
        r"|on (?P<weekdays>\w+day)s|at this station)",
        "llm": "named by the LLM",
        "known": "known at this station",
    },
    "ko": {
        "mood": r"(?P<mood>.+) 기분에(?P<well> 잘)? 어울리는",
        "like": r"오늘처럼 (?P<theme>.+)(?:이|가) 나오는",
        "for": r"(?P<weather>.+) 날에 맞게 (?P<theme>.+)(?:이|가) 나오는",
        "fast": "빠르게 흘러가는",
        "slow": "느긋하게 흘러가는",
        "warm": "온기가 있는",
        "light": "어둡지 않은",
        "named": r"말씀하신 (?P<theme>.+)(?:을|를) 다룬",
        "themes": r"(?P<theme>.+?)(?:과|와) (?P<other>.+)(?:을|를) 다룬",
        "minutes": r"(?P<most>\d+)분을 넘지 않는 (?P<minutes>\d+)분짜리",
        "family": r"(?P<family>.+부터 볼 수 있는|모든 연령이 볼 수 있는|성인이 볼)",
        "count": r"(?:(?P<mood>.+) 기분일 때|(?P<weather>.+) 저녁에|(?P<weekday>.요일)에|이곳에서)"
        r" (?P<times>한 번|두 번|\d+번) 선택된",
        "llm": "LLM이 고른",
        "known": "이곳에서 아는",
    },
}
FAMILY = {
    "all ages": "all",
    "older kids and up": "older-kids",
    "teens and up": "teens",
    "adults": "adults",
    "모든 연령이 볼 수 있는": "all",
    "초등학생부터 볼 수 있는": "older-kids",
    "청소년부터 볼 수 있는": "teens",
    "성인이 볼": "adults",
}
TIMES = {"once": 1, "twice": 2, "한 번": 1, "두 번": 2}
STEPS = {
    "fast": ("pace", 1),
    "slow": ("pace", -1),
    "warm": ("warmth", 1),
    "light": ("darkness", -1),
}


def heads(language: Language, film: ShippedFilm | None) -> str:
    """What the film itself is called."""
    if film is None:
        return "영화" if language == "ko" else ""
    names = {(row["kind"], row["name"]): row[language] for row in ROWS}
    tone, genre = names["tone", film.tone], names["genre", film.genres[0]]
    if language == "ko":
        return f"{tone} {genre}"
    return f"{'an' if tone[0] in 'aeiou' else 'a'} {tone} {genre}"


def clauses(sentence: str, language: Language, film: ShippedFilm | None) -> list[str]:
    """Split a sentence without a quote into its claims."""
    head = heads(language, film)
    if language == "ko":
        assert sentence.endswith(f"{head}입니다."), sentence
        body = sentence.removesuffix(f"{head}입니다.").strip()
        return body.split(", ") if body else []
    lowered = sentence[0].lower() + sentence[1:].removesuffix(".")
    assert sentence.endswith(".")
    assert lowered.startswith(head), sentence
    first, *rest = lowered.removeprefix(head).strip().split("; ")
    # "named by the LLM" keeps its capitals behind a film.
    traits = re.split(r" and (?=suits|has|moves|takes|stays)", first.removeprefix("that "))
    return [each for each in (*traits, *rest) if each]


def read(clause: str, language: Language) -> tuple[str, dict[str, str]]:
    found = []
    for kind, pattern in CLAUSES[language].items():
        match = re.fullmatch(pattern, clause)
        if match:
            claims = {name: text for name, text in match.groupdict().items() if text}
            plain = {"weathers": "weather", "weekdays": "weekday"}
            found.append((kind, {plain.get(name, name): text for name, text in claims.items()}))
    assert found, clause
    return found[0]


def named(language: Language, kind: str, text: str) -> str:
    assert text in WORDS[language][kind], text
    return WORDS[language][kind][text]


def check(
    sentence: str,
    language: Language,
    query: Query,
    film: ShippedFilm | None,
    chosen: Mapping[str, int],
) -> list[str]:
    """Recompute every claim of a sentence without a quote; return the kinds of the claims."""
    kinds = []
    for clause in clauses(sentence, language, film):
        kind, claim = read(clause, language)
        kinds.append(kind)
        if kind == "count":
            check_count(claim, language, query, chosen)
        elif kind not in ("llm", "known"):
            assert film is not None
            check_film(kind, claim, language, query, film)
    assert len(kinds) == len(set(kinds)), sentence
    return kinds


def check_count(
    claim: Mapping[str, str], language: Language, query: Query, chosen: Mapping[str, int]
) -> None:
    count = TIMES.get(claim["times"]) or int(re.sub(r"\D", "", claim["times"]))
    now = {
        "mood": vocabulary.mood(query.context.get("mood", "")),
        "weather": vocabulary.weather(query.context.get("weather_desc")),
        "weekday": vocabulary.weekday(query.context.get("weekday")),
    }
    words = {name: named(language, name, claim[name]) for name in now if name in claim}
    for name, word in words.items():
        assert word == now[name]
        assert chosen[word] == count
    if not words:
        assert chosen[""] == count
        # Nothing more telling was true.
        assert all(3 * chosen.get(word or "-", 0) < count for word in now.values())


def check_film(
    kind: str, claim: Mapping[str, str], language: Language, query: Query, film: ShippedFilm
) -> None:
    mood = vocabulary.mood(query.context.get("mood", ""))
    weather = vocabulary.weather(query.context.get("weather_desc")) or ""
    wishes = query.words.wishes
    themes = [named(language, "theme", claim[at]) for at in ("theme", "other") if at in claim]
    assert set(themes) <= set(film.themes)
    if kind == "mood":
        assert named(language, "mood", claim["mood"]) == mood
        assert film.moods[mood or ""] >= (0.8 if "well" in claim else 0.5)
    elif kind == "like":
        assert themes == [{"fog": "mist"}.get(weather, weather)]
    elif kind == "for":
        assert named(language, "weather", claim["weather"]) == weather
        assert themes[0] in LITERAL[weather]
    elif kind == "named":
        assert themes[0] in wishes.themes()
    elif kind == "minutes":
        assert int(claim["most"]) == query.max_minutes
        assert int(claim["minutes"]) == film.runtime <= int(claim["most"])
    elif kind == "family":
        assert FAMILY[claim["family"]] == film.family
        assert query.family
        assert FAMILIES.index(film.family) <= FAMILIES.index(query.family)
    elif kind in STEPS:
        name, way = STEPS[kind]
        assert getattr(film, name) * way >= (4 if way > 0 else -2)
        parts = [
            traits.for_evening(query),
            *([traits.for_mood(mood, query.intent)] if mood else []),
        ]
        assert sum(part.get(name, 0) for part in parts) * way >= 0.3
