from __future__ import annotations

import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from threading import Barrier

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import TimestampSigner

from moodflix.store import stats
from moodflix.web import auth
from tests.server import Serve, Served

MakeApp = Callable[..., Flask]
DATA = "/dashboard/data/choices"
TOKEN = "open sesame"
HOST = "127.0.0.1:8000"


def ask(client: FlaskClient, path: str, peer: str, host: str, **headers: str) -> int:
    return client.get(
        path, base_url=f"http://{host}", environ_base={"REMOTE_ADDR": peer}, headers=headers
    ).status_code


@pytest.mark.parametrize("path", ["/dashboard", DATA, f"{DATA}.csv"])
@pytest.mark.parametrize(
    ("peer", "host", "status"),
    [
        ("127.0.0.1", "localhost:8000", 200),
        ("127.0.0.1", HOST, 200),
        ("127.4.5.6", "localhost", 200),
        ("::1", "[::1]:8000", 200),
        ("::ffff:127.0.0.1", "localhost:8000", 200),
        ("192.168.0.9", "192.168.0.2:8000", 403),
        ("192.168.0.9", "localhost:8000", 403),
        ("::ffff:192.168.0.9", "localhost:8000", 403),
        ("10.0.0.1", HOST, 403),
        ("", "localhost:8000", 403),
        ("127.0.0.1", "station.local:8000", 403),
        ("127.0.0.1", "rebound.example", 403),
        ("127.0.0.1", "127.0.0.1.rebound.example", 403),
        ("127.0.0.1", "localhost.rebound.example:8000", 403),
        ("127.0.0.1", "192.168.0.2:8000", 403),
    ],
)
def test_without_a_token_only_the_station_itself_is_answered(
    client: FlaskClient, path: str, peer: str, host: str, status: int
) -> None:
    assert ask(client, path, peer, host) == status


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_what_a_proxy_hands_on_does_not_come_from_the_station(
    client: FlaskClient, header: str
) -> None:
    assert ask(client, DATA, "127.0.0.1", HOST, **{header: "127.0.0.1"}) == 403


def test_a_stranger_is_told_how_to_get_in(serve: Serve) -> None:
    served = serve()
    elsewhere = {"Host": "station.example"}
    data = served.http.get(DATA, headers=elsewhere)
    assert data.status_code == 403
    assert list(data.json()) == ["error"]
    page = served.http.get("/dashboard", headers=elsewhere)
    assert (page.status_code, page.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    for said in (data.text, page.text):
        assert "MOODFLIX_API_TOKEN" in said
        assert "localhost" in said
    assert served.get("/dashboard").status_code == served.get(DATA).status_code == 200


def log_in(served: Served, token: str = TOKEN) -> httpx.Response:
    return served.http.post("/dashboard/login", data={"token": token})


def test_with_a_token_the_operator_logs_in_and_out(serve: Serve) -> None:
    served = serve(api_token=TOKEN)
    shut = served.get(DATA)
    assert (shut.status_code, shut.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "error" in shut.json()
    form = served.get("/dashboard")
    assert form.status_code == 200
    assert 'action="/dashboard/login"' in form.text
    assert "data-chart" not in form.text

    for wrong in ("", "sesame", TOKEN + " ", "열려라 참깨"):
        refused = log_in(served, wrong)
        assert refused.status_code == 401
        assert "That is not the token" in refused.text
        assert "Set-Cookie" not in refused.headers
    set_session = log_in(served)
    assert (set_session.status_code, set_session.headers["Location"]) == (303, "/dashboard")
    [given] = SimpleCookie(set_session.headers["Set-Cookie"]).values()
    assert TOKEN not in given.value
    assert given["httponly"]
    assert not given["secure"]
    assert (given["samesite"], given["path"]) == ("Strict", "/dashboard")
    assert given["max-age"] == str(30 * 24 * 3600)
    assert "data-chart" in served.get("/dashboard").text
    assert served.get(DATA).status_code == 200

    out = served.http.post("/dashboard/logout")
    assert out.status_code == 303
    assert served.get(DATA).status_code == 401


def test_a_bearer_needs_no_cookie(serve: Serve) -> None:
    served = serve(api_token=TOKEN)

    def status(given: str) -> int:
        return served.http.get(DATA, headers={"Authorization": given}).status_code

    assert status(f"Bearer {TOKEN}") == status(f"bearer {TOKEN}") == 200
    assert status("Bearer sesame") == status(f"Basic {TOKEN}") == status("Bearer") == 401


def operator_client(app: Flask, base_url: str = "http://localhost") -> FlaskClient:
    client = app.test_client()
    answered = client.post("/dashboard/login", data={"token": TOKEN}, base_url=base_url)
    assert answered.status_code == 303
    return client


def test_a_login_outlives_a_restart_and_ends_with_another_token(make_app: MakeApp) -> None:
    cookie = operator_client(make_app(api_token=TOKEN)).get_cookie(
        "moodflix_keeper", path="/dashboard"
    )
    assert cookie is not None
    for token, status in ((TOKEN, 200), ("another", 401)):
        again = make_app(api_token=token).test_client()
        again.set_cookie("moodflix_keeper", cookie.value, path="/dashboard")
        assert again.get(DATA).status_code == status


def test_the_cookie_is_for_https_where_the_station_speaks_it(make_app: MakeApp) -> None:
    client = operator_client(make_app(api_token=TOKEN), "https://station.example")
    cookie = client.get_cookie("moodflix_keeper", "station.example", "/dashboard")
    assert cookie is not None
    assert cookie.secure


def test_a_cookie_that_was_tampered_with_or_is_old_opens_nothing(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = operator_client(make_app(api_token=TOKEN))
    cookie = client.get_cookie("moodflix_keeper", path="/dashboard")
    assert cookie is not None
    for forged in (cookie.value[:-1], "admin" + cookie.value[6:], "keeper", "", "a.b.c"):
        client.set_cookie("moodflix_keeper", forged, path="/dashboard")
        assert client.get(DATA).status_code == 401
    client.set_cookie("moodflix_keeper", cookie.value, path="/dashboard")
    assert client.get(DATA).status_code == 200
    real = TimestampSigner.get_timestamp
    later = 30 * 24 * 3600 + 60
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda me: real(me) + later)
    assert client.get(DATA).status_code == 401


def test_the_key_is_made_once_for_the_station_alone(tmp_path: Path) -> None:
    together = Barrier(8)

    def make(_: int) -> bytes:
        together.wait()
        # Eight processes at once.
        return auth._key(tmp_path / "new" / "dashboard.key")  # noqa: SLF001

    with ThreadPoolExecutor(8) as pool:
        [key] = set(pool.map(make, range(8)))
    assert len(key) == 32
    [file] = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == key


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda path: path.write_bytes(b"short")])
def test_a_key_that_cannot_be_used_is_a_clear_error(
    make_app: MakeApp, instance: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(instance / "dashboard.key")
    client = make_app(api_token=TOKEN).test_client()
    answered = client.post("/dashboard/login", data={"token": TOKEN})
    assert answered.status_code == 500
    assert answered.get_json()["error"].startswith("dashboard.key")
    assert str(instance) not in answered.text
    # Whoever brings the token itself needs no cookie.
    assert client.get(DATA, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "DELETE"])
@pytest.mark.parametrize("settings", [{}, {"api_token": TOKEN}])
@pytest.mark.parametrize(
    "path",
    [
        "/dashboard",
        "/dashboard/",
        "/dashboard/login",
        "/dashboard/logout",
        "/dashboard/nothing",
        f"{DATA}?from=yesterday",
        "/dashboard/data/nothing",
        *(f"/dashboard/data/{name}" for name in stats.TABLES),
        f"{DATA}.csv",
    ],
)
def test_no_other_origin_may_read_any_of_it(
    make_app: MakeApp, settings: dict[str, str], path: str, method: str
) -> None:
    client = make_app(**settings).test_client()
    headers = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "GET"}
    for peer in ("127.0.0.1", "192.168.0.9"):
        answered = client.open(
            path, method=method, headers=headers, environ_base={"REMOTE_ADDR": peer}
        )
        assert not [name for name, _ in answered.headers if name.startswith("Access-Control")]


def test_it_lets_nothing_in_or_out(client: FlaskClient) -> None:
    station, page, data = (client.get(path) for path in ("/", "/dashboard", DATA))
    policy = station.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for each in (page, data):
        assert each.headers["Content-Security-Policy"] == policy
        assert each.headers["Cache-Control"] == "no-store"
        assert each.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert each.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"\son\w+=|\sstyle=|<style|https?://", page.text)
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert all("src=" in each or "application/json" in each for each in scripts)


def test_its_links_say_only_what_the_page_knows(client: FlaskClient) -> None:
    page = client.get("/dashboard?days=7&_scheme=javascript&_external=1&endpoint=x&lang=ko").text
    assert 'href="/dashboard?days=7&amp;lang=en"' in page
    assert "javascript:" not in page
