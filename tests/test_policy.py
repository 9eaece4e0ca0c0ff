from __future__ import annotations

import pytest

from moodflix import vocabulary
from moodflix.recommend.catalogue import traits
from moodflix.recommend.query import Query


@pytest.mark.parametrize("mood", vocabulary.MOODS)
def test_auto_lies_between_lift_and_stay(mood: str) -> None:
    lift, stay, auto = (traits.for_mood(mood, way) for way in ("lift", "stay", "auto"))
    assert sum(traits.policy()["mood", mood, "auto"].values()) == pytest.approx(1)
    for trait in {*lift, *stay}:
        low, high = sorted((lift.get(trait, 0), stay.get(trait, 0)))
        assert low <= auto[trait] <= high


@pytest.mark.parametrize(
    ("date", "season"),
    [
        ("2025-12-24", "christmas"),
        ("2025-11-30", "advent"),
        ("2025-12-31", "new-year"),
        ("2026-01-01", "new-year"),
        ("2026-01-02", ""),
        ("2025-10-31", "halloween"),
        ("2025-02-14", "valentine"),
        ("2025-02-13", ""),
        ("2025-07-01", ""),
        ("", ""),
    ],
)
def test_a_date_has_its_season(date: str, season: str) -> None:
    assert traits.season(date) == season


@pytest.mark.parametrize(
    ("evening", "trait"),
    [
        ({"context": {"weather_desc": "비"}}, "theme:rain"),
        ({"context": {"temperature": "-3"}}, "theme:winter"),
        ({"context": {"tone": "excited"}}, "tone:epic"),
        ({"context": {"weekday": "Friday"}}, "tone:epic"),
        ({"context": {"today_status": "holiday"}}, "theme:holiday"),
        ({"hour": 23}, "theme:night"),
        ({"date": "2025-10-31"}, "genre:horror"),
    ],
)
def test_the_evening_weighs_in(evening: dict[str, object], trait: str) -> None:
    plain = traits.for_evening(Query())
    assert traits.for_evening(Query(**evening))[trait] > plain.get(trait, 0)  # type: ignore[arg-type]


def test_a_day_set_by_hand_wins_over_the_weekday() -> None:
    friday_before_work = Query({"weekday": "Friday", "tomorrow_status": "work"})
    assert traits.for_evening(friday_before_work)["length"] < 0
    assert traits.for_evening(Query({"weekday": "Friday"}))["length"] > 0


def test_what_nobody_knows_weighs_nothing() -> None:
    plain = traits.for_evening(Query())
    odd = {"weather_desc": "laoading", "temperature": "warm", "weekday": "Noday", "tone": "zzz"}
    assert traits.for_evening(Query(odd, date="not a date")) == plain
