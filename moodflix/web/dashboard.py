"""``GET /dashboard``: what the station learned, for its keeper alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from flask import Blueprint, Response, current_app, jsonify, redirect, request, url_for
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import NotFound

from moodflix import clock, demo
from moodflix.errors import DatabaseUnavailableError, FieldProblem, InvalidInputError
from moodflix.requests import read
from moodflix.store import database as db
from moodflix.store import stats
from moodflix.vocabulary import CATALOGUE, LEARNED, LLM, MOODS
from moodflix.web import auth, rendering
from moodflix.web.envelope import reply_error

blueprint = Blueprint("dashboard", __name__, url_prefix=auth.PATH)
#: The charts, in the order of the page; each is one of `stats.TABLES`.
_CHARTS: Final = {
    "choices": "bars",
    "hours": "grid",
    "films": "rows",
    "readings": "grid",
    "acceptance": "bars",
    "origins": "rows",
    "models": "lines",
    "seconds": "lines",
    "llm": "bars",
}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FORBIDDEN: Final = (
    "The dashboard answers only on the station itself, as localhost; "
    "with MOODFLIX_API_TOKEN set it lets the keeper log in from elsewhere"
)
# What the page's address may say; only that goes on in its links.
_KEPT: Final = ("days", "from", "to", "sample", "hours", "films")
# A spreadsheet would run what begins so.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def _day(value: str) -> date:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("day", "must be a day, as 2026-01-31")


# Bounds within which days can be counted back and forth.
_Day = Annotated[date, BeforeValidator(_day), Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]


class RangeQuery(BaseModel):
    """Query string of the data: two days, or how many up to the newest."""

    first: _Day | None = Field(None, alias="from")
    last: _Day | None = Field(None, alias="to")
    days: Literal["7", "30", "90", "all"] = "30"
    sample: bool = False


@blueprint.before_request
def require_admin() -> Response | None:
    """Refuse requests without access; with a token set, the page asks to log in."""
    is_data = "name" in (request.view_args or {})
    if auth.has_token():
        if not is_data or auth.is_authenticated():
            return None
        response = reply_error("Log in at /dashboard, or send the token as a bearer's", 401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if auth.is_local():
        return None
    return reply_error(_FORBIDDEN, 403) if is_data else _login_page("forbidden", 403)


@blueprint.after_request
def add_security_headers(response: Response) -> Response:
    """Add security and no-store headers."""
    response.headers.update(rendering.HEADERS | _HEADERS)
    return response


@blueprint.errorhandler(auth.KeyFileError)
def no_key(error: auth.KeyFileError) -> Response:
    """Say why nobody can log in."""
    return reply_error(str(error), 500)


@blueprint.get("")
def show() -> Response:
    """Show the charts, or the form to log in."""
    if auth.has_token() and not auth.is_authenticated():
        return _login_page("log-in", 200)
    has_samples = demo.path(current_app.instance_path).exists()
    is_empty = _is_empty()
    is_sample = has_samples and (is_empty or request.args.get("sample") == "1")
    has_library = (Path(current_app.static_folder or "") / "vendor" / "chart.js").exists()
    return rendering.page(
        "dashboard.html",
        {
            "sample": is_sample,
            "empty": is_empty,
            "moods": MOODS,
            "recommenders": [LLM, LEARNED, CATALOGUE],
        },
        kept=_kept(),
        charts=_CHARTS,
        is_sample=is_sample,
        is_empty=is_empty,
        has_samples=has_samples,
        has_library=has_library,
        has_token=auth.has_token(),
        moods=MOODS,
    )


@blueprint.route("/login", methods=["GET", "POST"])
def log_in() -> Response:
    """Take the token and give a cookie for it."""
    if request.method == "POST" and not auth.is_token(request.form.get("token", "")):
        return _login_page("wrong", 401)
    response = _to_the_charts()
    if request.method == "POST":
        auth.set_session(response)
    return response


@blueprint.post("/logout")
def log_out() -> Response:
    """Take the cookie back."""
    response = _to_the_charts()
    auth.clear_session(response)
    return response


@blueprint.get("/data/<name>")
def as_json(name: str) -> Response:
    """Answer with one table of `stats`, as JSON."""
    first, last, table = _table(name)
    return jsonify(
        columns=table.columns, rows=table.rows, first=first.isoformat(), last=last.isoformat()
    )


@blueprint.get("/data/<name>.csv")
def as_csv(name: str) -> Response:
    """Answer with one table of `stats`, as a file."""
    first, last, table = _table(name)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_harmless(value) for value in row] for row in table.rows)
    response = Response(out.getvalue(), mimetype="text/csv")
    file = f"moodflix-{name}-{first}-{last}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={file}"
    return response


def _login_page(state: str, status: int) -> Response:
    response = rendering.page("login.html", {}, state=state, kept=_kept())
    response.status_code = status
    return response


def _kept() -> dict[str, str]:
    return {name: value for name, value in request.args.items() if name in _KEPT}


def _to_the_charts() -> Response:
    # Flask's own answer: redirect() is typed as werkzeug's.
    return current_app.make_response(redirect(url_for("dashboard.show"), 303))


def _table(name: str) -> tuple[date, date, stats.Table]:
    if name not in stats.TABLES:
        raise NotFound
    asked = read(RangeQuery, request.args)
    with _database(sample=asked.sample) as database, database.read() as session:
        known = stats.span(session)
        first, last = _range(asked, known)
        return first, last, stats.table(session, name, first, last)


def _range(asked: RangeQuery, known: tuple[date, date] | None) -> tuple[date, date]:
    today = clock.today(db.current().zone)
    oldest, newest = known or (today, today)
    last = asked.last or min(newest, today)
    if asked.first:
        first = asked.first
    elif asked.days == "all":
        first = min(oldest, last)
    else:
        first = last - timedelta(days=int(asked.days) - 1)
    if first > last:
        problem = FieldProblem("from", "must not be after to")
        raise InvalidInputError(f"{problem.field}: {problem.message}", [problem])
    return first, last


@contextmanager
def _database(*, sample: bool) -> Iterator[db.Database]:
    """Open the station's own database, or the sample's, which may come and go."""
    if not sample:
        yield db.current()
        return
    path = demo.path(current_app.instance_path)
    if not path.exists():
        problem = FieldProblem("sample", "there is none; run: flask demo load")
        raise InvalidInputError(f"{problem.field}: {problem.message}", [problem])
    database = db.Database(f"sqlite:///{path}", pool_size=1, zone=db.current().zone)
    try:
        yield database
    finally:
        database.engine.dispose()


def _is_empty() -> bool:
    try:
        with db.current().read() as session:
            return stats.span(session) is None
    except DatabaseUnavailableError:
        return False  # the charts will say it


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
