"""What all pages share: language, translations and security headers."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

from flask import Response, make_response, render_template, request

LANGUAGES: Final = ("en", "ko")
SECURITY_HEADERS: Final = {
    # Scripts, requests and forms only from and to the station; no text is parsed as HTML.
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language, Cookie",
}
_YEAR: Final = 365 * 24 * 3600


@cache
def translations(language: str) -> dict[str, str]:
    """Return the sentences of a language by name, for templates and scripts."""
    path = resources.files("moodflix.web") / "translations" / f"{language}.json"
    sentences: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return sentences


def page(template: str, data: dict[str, Any], *, remembered: bool = True, **names: Any) -> Response:
    """Render a page in the person's language; ``data`` goes to its script.

    ``?lang=`` is remembered on the device, unless nothing is to be ``remembered``.
    """
    language, chosen = _language(remembered=remembered)
    sentences = translations(language)
    response = make_response(
        render_template(
            template,
            language=language,
            languages={each: translations(each)["language"] for each in LANGUAGES},
            page_data={"language": language, "words": sentences, **data},
            t=sentences.__getitem__,
            **names,
        )
    )
    response.headers.update(SECURITY_HEADERS)
    if chosen and remembered:
        response.set_cookie("lang", language, max_age=_YEAR, httponly=True, samesite="Strict")
    return response


def _language(*, remembered: bool) -> tuple[str, bool]:
    """Return the page's language, and whether this request chose it."""
    chosen = request.args.get("lang")
    if chosen in LANGUAGES:
        return chosen, True
    cookie = request.cookies.get("lang") if remembered else None
    if cookie in LANGUAGES:
        return cookie, False
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0], False
