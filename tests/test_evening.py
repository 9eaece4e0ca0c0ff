from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix import vocabulary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clear sky", "clear"),
        ("Sunny", "clear"),
        ("맑음", "clear"),
        ("broken clouds", "clouds"),
        ("흐림", "clouds"),
        ("LIGHT RAIN", "rain"),
        ("이슬비", "rain"),
        ("thunderstorm with rain", "storm"),
        ("rain and snow", "snow"),
        ("진눈깨비", "snow"),
        ("mist", "fog"),
        ("황사", "fog"),
        ("laoading", None),
        (" Loading ", None),
        ("", None),
        ("purple", None),
        (None, None),
    ],
)
def test_it_reads_the_weather(text: str | None, expected: str | None) -> None:
    assert vocabulary.weather(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wednesday", "wednesday"),
        (" WED. ", "wednesday"),
        ("tues", "tuesday"),
        ("수", "wednesday"),
        ("일요일", "sunday"),
        ("we", None),
        ("...", None),
        ("t..", None),
        ("someday", None),
        ("", None),
        (None, None),
    ],
)
def test_it_reads_the_weekday(text: str | None, expected: str | None) -> None:
    assert vocabulary.weekday(text) == expected


@pytest.mark.parametrize("place", range(7))
def test_english_and_korean_weekdays_agree(place: int) -> None:
    day = vocabulary.WEEKDAYS[place]
    assert vocabulary.weekday("월화수목금토일"[place] + "요일") == day
    assert vocabulary.weekday(day[:3]) == day


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("work", "work"),
        ("Weekday", "work"),
        ("출근", "work"),
        ("holiday", "holiday"),
        ("day off work", "holiday"),
        ("weekend", "holiday"),
        ("휴일", "holiday"),
        ("office", "work"),
        ("", None),
        ("whatever", None),
        (None, None),
    ],
)
def test_it_reads_what_kind_of_day_it_is(text: str | None, expected: str | None) -> None:
    assert vocabulary.day_kind(text) == expected


@pytest.mark.parametrize(
    ("celsius", "expected"),
    [
        (None, None),
        (-40, "freezing"),
        (0, "freezing"),
        (0.5, "cold"),
        (9.9, "cold"),
        (10, "mild"),
        (19.9, "mild"),
        (20, "warm"),
        (27.9, "warm"),
        (28, "hot"),
    ],
)
def test_it_names_the_warmth(celsius: float | None, expected: str | None) -> None:
    assert vocabulary.temperature(celsius) == expected


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        (None, None),
        (0, "night"),
        (4, "night"),
        (5, "morning"),
        (11, "morning"),
        (12, "afternoon"),
        (16, "afternoon"),
        (17, "evening"),
        (21, "evening"),
        (22, "night"),
        (23, "night"),
    ],
)
def test_it_names_the_part_of_the_day(hour: int | None, expected: str | None) -> None:
    assert vocabulary.part_of_day(hour) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("22.50", 22.5), (" -3 ", -3.0), ("1e2", 100.0), ("", None), (None, None), ("warm", None)]
    + [(text, None) for text in ("nan", "inf", "-Infinity", "1e999")],
)
def test_it_reads_only_finite_numbers(text: str | None, expected: float | None) -> None:
    assert vocabulary.number(text) == expected


@given(st.text())
def test_any_text_is_a_known_word_or_unknown(text: str) -> None:
    names = {"clear", "clouds", "rain", "snow", "storm", "fog", None}
    assert vocabulary.weather(text) in names
    assert vocabulary.weekday(text) in {*vocabulary.WEEKDAYS, None}
    assert vocabulary.day_kind(text) in {*vocabulary.DAY_KINDS, None}
