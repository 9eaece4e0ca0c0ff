"""The HTTP side: blueprints, envelopes, errors, the request log."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Flask, Response, request

from moodflix.web import dashboard, errors, feedback, health, inference, logs, pages, request_log

_MAX_BODY = 16 * 1024 * 1024
# Paths that any origin may call: all but the pages, their data and their static files.
_CROSS_ORIGIN = re.compile(r"/(?!$|static/|dashboard(?:/|$))")


def init_app(app: Flask) -> None:
    """Register the blueprints, error handlers and request log."""
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    # A CORS preflight fails on a redirect.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    app.static_folder = str(Path(__file__).parent / "static")
    request_log.init_app(app)
    errors.init_app(app)
    for part in (inference, logs, feedback, health, pages, dashboard):
        app.register_blueprint(part.blueprint)
    app.after_request(_allow_cross_origin)


def _allow_cross_origin(response: Response) -> Response:
    """Allow any origin to call the endpoints (CORS)."""
    if _CROSS_ORIGIN.match(request.path):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
    return response
