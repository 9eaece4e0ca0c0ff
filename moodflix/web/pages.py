"""``GET /``: the page people stand in front of, in English or Korean."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Final

from flask import Blueprint, Response, current_app, make_response, render_template, request

from moodflix.config import Settings
from moodflix.moods import MOODS, TONES

blueprint = Blueprint("pages", __name__, template_folder="templates")
LANGUAGES: Final = ("en", "ko")
# What `evening.weather` makes of weather words.
_WEATHERS: Final = ("clear", "clouds", "rain", "snow", "storm", "fog")
_YEAR: Final = 365 * 24 * 3600
_HEADERS: Final = {
    # Nothing runs, loads or is sent but from and to the station; no text ever becomes markup.
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}


@cache
def words(language: str) -> dict[str, str]:
    """Return every sentence of the page by its name, for templates and scripts alike."""
    path = resources.files("moodflix.web") / "translations" / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


@blueprint.get("/")
def station() -> Response:
    """Show the station; ``?lang=`` is remembered on the device, ``?kiosk=1`` remembers nothing."""
    settings: Settings = current_app.extensions["moodflix.settings"]
    kiosk = request.args.get("kiosk") == "1"
    language, chosen = _language(remembered=not kiosk)
    told = {
        "language": language,
        "kiosk": kiosk,
        "city": settings.city,
        "words": words(language),
    }
    page = render_template(
        "station.html",
        language=language,
        languages={each: words(each)["language"] for each in LANGUAGES},
        kiosk=kiosk,
        told=told,
        t=words(language).__getitem__,
        moods=MOODS,
        tones=TONES,
        weathers=_WEATHERS,
    )
    response = make_response(page)
    response.headers.update(_HEADERS)
    if chosen and not kiosk:
        response.set_cookie("lang", language, max_age=_YEAR, httponly=True, samesite="Strict")
    return response


def _language(*, remembered: bool) -> tuple[str, bool]:
    """Return the language to speak, and whether it was chosen just now."""
    asked = request.args.get("lang")
    if asked in LANGUAGES:
        return asked, True
    kept = request.cookies.get("lang") if remembered else None
    if kept in LANGUAGES:
        return kept, False
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0], False
