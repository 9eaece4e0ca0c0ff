"""``GET /dashboard``: charts and figures, for the operator only."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from flask import Blueprint, Response, current_app, jsonify, redirect, request, url_for
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import NotFound

from moodflix import clock, instance, log_csv
from moodflix.errors import DatabaseUnavailableError, FieldProblem, InvalidInputError
from moodflix.requests import read
from moodflix.store import stats
from moodflix.store.database import Database, current_database
from moodflix.vocabulary import CATALOGUE, LEARNED, LLM, MOODS
from moodflix.web import auth, rendering
from moodflix.web.exchange import reply_error

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
    "with MOODFLIX_API_TOKEN set it lets the operator log in from elsewhere"
)
# Query parameters that the page's links keep.
_LINK_PARAMETERS: Final = ("days", "from", "to", "sample", "hours", "films")


def _day(value: str) -> date:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise PydanticCustomError("day", "must be a day, as 2026-01-31")


# Bounded so that adding or subtracting days cannot overflow.
_Day = Annotated[date, BeforeValidator(_day), Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]


class RangeQuery(BaseModel):
    """Query string of the data: the first and last day, or the number of days up to the newest."""

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
    response.headers.update(rendering.SECURITY_HEADERS | _HEADERS)
    return response


@blueprint.errorhandler(auth.KeyFileError)
def key_file_error(error: auth.KeyFileError) -> Response:
    """Answer 500 when the signing key can't be used."""
    return reply_error(str(error), 500)


@blueprint.get("")
def show() -> Response:
    """Show the charts, or the form to log in."""
    if auth.has_token() and not auth.is_authenticated():
        return _login_page("log-in", 200)
    has_sample = instance.of(current_app).sample.exists()
    is_empty = _is_empty()
    is_sample = has_sample and (is_empty or request.args.get("sample") == "1")
    has_library = (Path(current_app.static_folder or "") / "vendor" / "chart.js").exists()
    return rendering.page(
        "dashboard.html",
        {
            "sample": is_sample,
            "empty": is_empty,
            "moods": MOODS,
            "recommenders": [LLM, LEARNED, CATALOGUE],
        },
        link_parameters=_link_parameters(),
        charts=_CHARTS,
        is_sample=is_sample,
        is_empty=is_empty,
        has_sample=has_sample,
        has_library=has_library,
        has_token=auth.has_token(),
        moods=MOODS,
    )


@blueprint.route("/login", methods=["GET", "POST"])
def log_in() -> Response:
    """Log in with the token and set the session cookie."""
    if request.method == "POST" and not auth.is_token(request.form.get("token", "")):
        return _login_page("wrong", 401)
    response = _redirect_to_dashboard()
    if request.method == "POST":
        auth.set_session(response)
    return response


@blueprint.post("/logout")
def log_out() -> Response:
    """Log out: delete the session cookie."""
    response = _redirect_to_dashboard()
    auth.clear_session(response)
    return response


@blueprint.get("/data/<name>")
def as_json(name: str) -> Response:
    """Answer with one table of `stats` as JSON."""
    first, last, table = _table(name)
    return jsonify(
        columns=table.columns, rows=table.rows, first=first.isoformat(), last=last.isoformat()
    )


@blueprint.get("/data/<name>.csv")
def as_csv(name: str) -> Response:
    """Answer with one table of `stats` as a CSV file."""
    first, last, table = _table(name)
    out = io.StringIO()
    log_csv.write(([_cell(value) for value in row] for row in table.rows), out, table.columns)
    response = Response(out.getvalue(), mimetype="text/csv")
    file = f"moodflix-{name}-{first}-{last}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={file}"
    return response


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet runs as a formula; a title may look like a number, too."""
    if value is None:
        return ""
    is_formula = isinstance(value, str) and value.startswith(log_csv.FORMULA_STARTS)
    return f"'{value}" if is_formula else str(value)


def _login_page(state: str, status: int) -> Response:
    response = rendering.page("login.html", {}, state=state, link_parameters=_link_parameters())
    response.status_code = status
    return response


def _link_parameters() -> dict[str, str]:
    return {name: value for name, value in request.args.items() if name in _LINK_PARAMETERS}


def _redirect_to_dashboard() -> Response:
    # redirect() is typed as returning werkzeug's Response.
    return current_app.make_response(redirect(url_for("dashboard.show"), 303))


def _table(name: str) -> tuple[date, date, stats.Table]:
    """Return one table of the days that the request names, with the first and last of them."""
    if name not in stats.TABLES:
        raise NotFound
    query = read(RangeQuery, request.args)
    with _database(sample=query.sample) as database, database.read() as session:
        first, last = _range(query, stats.span(session))
        return first, last, stats.table(session, name, first, last)


def _range(query: RangeQuery, span: tuple[date, date] | None) -> tuple[date, date]:
    """Return the first and last day that a query means, given those that have figures."""
    today = clock.today(current_database().zone)
    oldest, newest = span or (today, today)
    last = query.last or min(newest, today)
    if query.first:
        first = query.first
    elif query.days == "all":
        first = min(oldest, last)
    else:
        first = last - timedelta(days=int(query.days) - 1)
    if first > last:
        raise InvalidInputError.of(FieldProblem("from", "must not be after to"))
    return first, last


@contextmanager
def _database(*, sample: bool) -> Iterator[Database]:
    """Yield the station's own database, or the sample's, which is opened for this request only."""
    if not sample:
        yield current_database()
        return
    path = instance.of(current_app).sample
    if not path.exists():
        raise InvalidInputError.of(FieldProblem("sample", "there is none; run: flask demo load"))
    database = Database(f"sqlite:///{path}", pool_size=1, zone=current_database().zone)
    try:
        yield database
    finally:
        database.engine.dispose()


def _is_empty() -> bool:
    try:
        with current_database().read() as session:
            return stats.span(session) is None
    except DatabaseUnavailableError:
        return False  # each chart will show the error
