"""Writes what is made of the catalogue's data: docs/policy.md, docs/evenings.md, space.npz."""  # noqa: INP001

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from moodflix import data
from moodflix.films import shipped
from moodflix.perception.wishes import understand
from moodflix.recommend.catalogue import space
from moodflix.recommend.catalogue.ranker import KIND_WEIGHTS, OTHER_KIND_WEIGHT, Catalogue
from moodflix.recommend.catalogue.traits import POLICY, TraitTable
from moodflix.recommend.query import Query
from moodflix.vocabulary import MOODS, Intent

HERE = Path(__file__).parent
SEED = 1
DIRECTIONS: tuple[Intent, ...] = ("auto", "lift", "stay")

POLICY_INTRO = """\
# What suits which mood

*Written by `make docs`; edit `moodflix/data/policy.csv` instead.*

A person who is asked how they feel may want the film to change that (**lift**) or to go along with
it (**stay**). Who says neither gets the mix that studies suggest for the mood (**auto**). Each line
of the table gives a trait of films a weight: a film that has the trait gains it, one that is the
opposite loses it. `pace`, `warmth`, `darkness` and `renown` are steps from 1 to 5 with 3 in the
middle; `length` is 0 at 110 minutes, `age` 0 for 1990. [The studies](references.md) are the
reasons, the weights are ours. A person's own words count most: `moodflix/data/words.csv` says which
traits a word asks for. Films of one kind keep their distance: in ten at most one of a series, two
of a director and four of a decade, as long as enough fit.
"""
EVENINGS = """\
# Sixty evenings

*Written by `make docs` from `docs/evenings.csv`.* What the catalogue alone names for each evening,
without a choice ever logged and without an LLM.
"""


def cells(values: Iterable[object]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(str(value) for value in values)} |"


def weights(when: str) -> Iterator[str]:
    """Yield the table's lines about weather, day and so on."""
    yield from ("", cells((when, "trait", "weight", "why")), cells(["---"] * 4))
    for row in data.table(POLICY):
        if row["when"] == when:
            yield cells((row["value"], row["trait"], row["weight"], row["source"]))


def mood_page(catalogue: Catalogue, mood: str) -> Iterator[str]:
    """Yield what is said of one mood, and the films it leads to."""
    rows = [row for row in data.table(POLICY) if (row["when"], row["value"]) == ("mood", mood)]
    yield from ("", f"## {mood.capitalize()}", "")
    for row in rows:
        if row["direction"] == "auto":
            yield f"- auto: {float(row['weight']):.0%} {row['trait']} ({row['source']})"
    for way in ("lift", "stay"):
        yield f"- {way}: " + "; ".join(
            f"{row['trait']} {row['weight']} ({row['source']})"
            for row in rows
            if row["direction"] == way
        )
    lists = [catalogue.rank(Query({"mood": mood}, intent=way, seed=SEED), 10) for way in DIRECTIONS]
    yield from ("", cells(("", *DIRECTIONS)), cells(["---"] * 4))
    for place, picks in enumerate(zip(*lists, strict=True), start=1):
        yield cells((place, *(f"{pick.title} ({pick.year})" for pick in picks)))


def policy_page(catalogue: Catalogue) -> Iterator[str]:
    """Yield the lines of docs/policy.md."""
    yield POLICY_INTRO.rstrip()
    for mood in MOODS:
        yield from mood_page(catalogue, mood)
    yield from ("", "## The evening around it")
    for when in ("any", "tone", "weather", "temperature", "day", "hour", "season"):
        yield from weights(when)


def evening(row: dict[str, str]) -> Query:
    """Return the query of a line of docs/evenings.csv."""
    return Query(
        context={
            "city": row["city"],
            "weather_desc": row["weather"],
            "temperature": row["celsius"],
            "weekday": f"{date.fromisoformat(row['date']):%A}",
            "tomorrow_status": row["tomorrow"],
            "mood": row["mood"],
            "tone": row["tone"],
        },
        hour=int(row["hour"]),
        words=understand(row["words"], row["mood"]),
        liked=tuple(filter(None, row["movies"].split(";"))),
        intent=row["intent"],  # type: ignore[arg-type]
        family=row["family"] or None,  # type: ignore[arg-type]
        max_minutes=int(row["minutes"]) if row["minutes"] else None,
        date=row["date"],
    )


def evenings_page(catalogue: Catalogue) -> Iterator[str]:
    """Yield the lines of docs/evenings.md."""
    yield EVENINGS.rstrip()
    with (HERE / "evenings.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = f"{date.fromisoformat(row['date']):%A}"
            facts = (f"{row['hour']}:00", row["city"], row["weather"], f"{row['celsius']} °C")
            tomorrow = row["tomorrow"] and f"{row['tomorrow']} tomorrow"
            asked = (f"{row['mood']}, {row['intent']}", f"voice {row['tone']}", tomorrow)
            limits = (row["family"], row["minutes"] and f"at most {row['minutes']} minutes")
            liked = row["movies"] and f"named {row['movies']}"
            yield from ("", f"## {day}, {row['date']}, {', '.join(facts)}", "")
            yield f"{'; '.join(filter(None, (*asked, *limits, liked)))}"
            if row["words"]:
                yield from ("", f"> {row['words']}")
            yield ""
            for place, pick in enumerate(catalogue.rank(evening(row), 5), start=1):
                yield f"{place}. {pick.title} ({pick.year})"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    space_folder = folder if len(sys.argv) > 1 else HERE.parent / "moodflix" / "data"
    table = TraitTable(shipped.films())
    tf_idf = table.tf_idf(KIND_WEIGHTS, OTHER_KIND_WEIGHT)
    space.save(table, tf_idf, space_folder / space.FILE)
    pages = {"policy.md": policy_page, "evenings.md": evenings_page}
    for name, page in pages.items():
        (folder / name).write_text("\n".join([*page(Catalogue()), ""]), encoding="utf-8")
