"""The station's time zone: what time and which day it is there."""

from __future__ import annotations

import os
import time
import zoneinfo
from datetime import date, datetime, timezone, tzinfo


def system_is_set() -> bool:
    """Whether a time zone is set by ``TZ`` or in the system, where it is UTC by default."""
    return bool(os.environ.get("TZ")) or time.tzname[0] != "UTC"


def named_zone(name: str | None) -> tzinfo | None:
    """Return a time zone by its name; ``None`` is the system's own.

    Raises:
        ValueError: the system knows no time zone of that name.
    """
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, OSError) as error:
        raise ValueError(name) from error


def name(zone: tzinfo | None) -> str:
    """Return the name of a time zone, such as ``Asia/Seoul``, or ``EST/EDT`` of the system's."""
    return "/".join(time.tzname) if zone is None else str(zone)


def local(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment in the station's time zone."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        return moment  # too close to the first or last moment that Python has


def today(zone: tzinfo | None) -> date:
    """Return today's date at the station."""
    return datetime.now(timezone.utc).astimezone(zone).date()


def start_of(day: date, zone: tzinfo | None) -> datetime:
    """Return when a day begins at the station, in UTC."""
    return datetime.combine(day, datetime.min.time(), zone).astimezone(timezone.utc)
