"""The HTTP side: endpoints, pages, errors, and what all requests share."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from moodflix.framing import MAX_BODY
from moodflix.web import dashboard, errors, exchange, health, inference, limits, pages


def init_app(app: Flask) -> None:
    """Register the blueprints, error handlers, rate limits and request log."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    # A CORS preflight fails on a redirect.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    app.static_folder = str(Path(__file__).parent / "static")
    exchange.init_app(app)
    errors.init_app(app)
    for part in (inference, health, pages, dashboard):
        app.register_blueprint(part.blueprint)
    limits.init_app(app)
