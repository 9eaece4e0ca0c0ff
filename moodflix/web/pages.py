"""``GET /``: the page that people use to find a film, in English or Korean."""

from __future__ import annotations

import itertools
from typing import Any, Final

from flask import Blueprint, Response, current_app, request

from moodflix.config import Settings
from moodflix.errors import DatabaseUnavailableError
from moodflix.films import shipped, titles
from moodflix.store import films, logs
from moodflix.store.database import current_database
from moodflix.vocabulary import MOODS, VOICE_TONES, WEATHERS, WEEKDAYS
from moodflix.web import rendering

blueprint = Blueprint("pages", __name__, template_folder="templates")
# Films in the history at most, and how many of the newest choices they are taken from.
_MAX_HISTORY: Final = 16
_RECENT_CHOICES: Final = 100


@blueprint.get("/")
def station() -> Response:
    """Show the station; with ``?kiosk=1`` nothing is remembered between visitors."""
    settings: Settings = current_app.extensions["moodflix.settings"]
    kiosk = request.args.get("kiosk") == "1"
    return rendering.page(
        "station.html",
        {
            "kiosk": kiosk,
            "city": settings.city,
            "chosen": _chosen(),
            "weekdays": [day.title() for day in WEEKDAYS],
        },
        remembered=not kiosk,
        kiosk=kiosk,
        moods=MOODS,
        tones=VOICE_TONES,
        weathers=WEATHERS,
    )


def _chosen() -> list[dict[str, Any]]:
    """Return the films chosen last, newest first, with what the script draws posters from."""
    chosen: dict[str, str] = {}
    try:
        with current_database().read() as session:
            for key, title in logs.recent_films(session, _RECENT_CHOICES):
                chosen.setdefault(key, title)
            chosen |= films.display_titles(session, chosen)
    except DatabaseUnavailableError:
        return []
    tiles = []
    for key, title in itertools.islice(chosen.items(), _MAX_HISTORY):
        film = shipped.by_film_key(key)
        known = {"genres": film.genres, "original_title": film.original_title} if film else {}
        tiles.append({"title": title, "year": titles.split_year(key)[1], **known})
    return tiles
