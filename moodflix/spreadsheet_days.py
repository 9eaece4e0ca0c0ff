"""Reads days and times as spreadsheets write them, where a column leaves no doubt."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final

_FORM: Final = re.compile(
    r"(\d{1,4})([-/.]) ?(\d{1,2})\2 ?(\d{1,4})\.?"
    r"(?:,? ?(?:(AM|PM|오전|오후) )?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?: ?(AM|PM))?)?",
    re.ASCII | re.IGNORECASE,
)
_NOON: Final = 12
_YEAR: Final = 4


class DayColumn:
    """A column of days; its rows tell whether the day or the month stands first."""

    def __init__(self) -> None:
        """Start with no rows."""
        self._day_first = self._month_first = True

    def add(self, text: str) -> None:
        """Take a row into account: a 13th month can only be a day."""
        by_day, by_month = _readings(text)
        if (by_day is None) != (by_month is None):
            self._day_first &= by_day is not None
            self._month_first &= by_month is not None

    def moment(self, text: str) -> datetime | None:
        """Return the moment (UTC) of a text in this column; ``None`` if in doubt."""
        by_day, by_month = _readings(text)
        if by_day == by_month:
            return by_day
        if self._day_first == self._month_first:
            return None
        return by_day if self._day_first else by_month


def _readings(text: str) -> tuple[datetime | None, datetime | None]:
    """Return the moment with the day before the month, and with the month first."""
    match = _FORM.fullmatch(text.strip())
    if not match:
        return None, None
    first, separator, second, third, before, hour, minute, seconds, after = match.groups()
    clock = _clock(int(hour or 0), (before or after or "").casefold())
    at = (clock, int(minute or 0), int(seconds or 0))
    if len(first) == _YEAR:
        moment = _moment(first, second, third, at)
        return moment, moment
    if len(third) != _YEAR:
        return None, None
    by_day = _moment(third, second, first, at)
    # Nobody writes the month first with full stops.
    return by_day, by_day if separator == "." else _moment(third, first, second, at)


def _clock(hour: int, half: str) -> int:
    """Return the hour of 24; 24 or more if there is no such hour."""
    if not half:
        return hour
    if not 1 <= hour <= _NOON:
        return 2 * _NOON
    return hour % _NOON + (_NOON if half in {"pm", "오후"} else 0)


def _moment(year: str, month: str, day: str, at: tuple[int, int, int]) -> datetime | None:
    try:
        return datetime(int(year), int(month), int(day), *at, tzinfo=timezone.utc)
    except ValueError:
        return None
