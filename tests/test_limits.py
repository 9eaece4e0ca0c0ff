"""How often one client may ask, log, judge and log in."""

from __future__ import annotations

import httpx
import pytest
from flask.testing import FlaskClient
from playwright.sync_api import expect

from tests.browser import Visiting
from tests.conftest import MakeApp
from tests.server import Serve, ServeGunicorn

VERDICT = {"visitor": "abcdefgh12345678", "movieTitle": "Mother", "verdict": "loved"}
CALLS = {
    "rate_limit_questions": ("/inference", {}),
    "rate_limit_logs": ("/inference/log", {"movieTitle": "Mother"}),
    "rate_limit_feedbacks": ("/inference/feedback", VERDICT),
}


def limited(make_app: MakeApp, **settings: object) -> FlaskClient:
    return make_app(rate_limit_enabled=True, **settings).test_client()


@pytest.mark.parametrize("setting", CALLS)
def test_a_client_may_send_so_many_a_minute(make_app: MakeApp, setting: str) -> None:
    path, body = CALLS[setting]
    client = limited(make_app, **{setting: 3})
    assert [client.post(path, json=body).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.post(path, json=body)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.get_json()["error"].startswith(
        "Too many requests: at most 3 a minute; try again"
    )
    # Others are not held up by it, nor is anything else.
    assert client.post(path, json=body, environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 200
    assert client.get("/inference/log").status_code == 200


def test_log_ins_are_limited(make_app: MakeApp) -> None:
    client = limited(make_app, rate_limit_logins=2, api_token="a-secret-of-the-operator")
    wrong = [client.post("/dashboard/login", data={"token": "x"}).status_code for _ in range(3)]
    assert wrong == [401, 401, 429]
    assert client.get("/dashboard").status_code == 200


@pytest.mark.parametrize("settings", [{"rate_limit_logs": 0}, {"rate_limit_enabled": False}])
def test_a_setting_lifts_it(make_app: MakeApp, settings: dict[str, int]) -> None:
    client = make_app(**{"rate_limit_enabled": True, "rate_limit_logs": 1} | settings).test_client()
    for _ in range(3):
        assert client.post("/inference/log", json={"movieTitle": "Mother"}).status_code == 200


def test_the_defaults_are_the_documented_ones(make_app: MakeApp) -> None:
    client, body = limited(make_app), {"movieTitle": "Mother"}
    statuses = [client.post("/inference/log", json=body).status_code for _ in range(121)]
    assert statuses == [200] * 120 + [429]


def test_an_envelope_is_refused_in_one(make_app: MakeApp) -> None:
    client = limited(make_app, rate_limit_logs=1)
    body = {
        "protocol": "MFNP",
        "version": 1.0,
        "message_type": "inference-log",
        "payload": {"movieTitle": "Mother"},
    }
    client.post("/inference/log", json=body)
    refused = client.post("/inference/log", json=body)
    assert refused.status_code == 429
    assert refused.get_json()["message_type"] == "error"
    assert "try again in" in refused.get_json()["payload"]["reason"]


def test_a_network_of_ipv6_is_one_client(make_app: MakeApp) -> None:
    client = limited(make_app, rate_limit_logs=1)

    def status(address: str) -> int:
        sender = {"REMOTE_ADDR": address}
        body = {"movieTitle": "Mother"}
        return client.post("/inference/log", json=body, environ_base=sender).status_code

    networks = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::2"]
    assert [status(each) for each in networks] == [200, 429, 200]
    # IPv4 clients that came through an IPv6 socket.
    mapped = ["::ffff:10.0.0.1", "10.0.0.1", "::ffff:10.0.0.2"]
    assert [status(each) for each in mapped] == [200, 429, 200]


def test_workers_count_together(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(workers=3, rate_limit_enabled=1, rate_limit_logs=10)
    statuses = []
    for _ in range(30):
        # A connection of its own, which any worker may take.
        answered = httpx.post(
            f"{served.url}/inference/log", json={"movieTitle": "Mother"}, trust_env=False
        )
        statuses.append(answered.status_code)
    assert statuses == [200] * 10 + [429] * 20
    assert len(served.get("/inference/log").json()) == 10


def test_the_page_says_it_in_a_sentence(serve: Serve, visiting: Visiting) -> None:
    limits = {"rate_limit_questions": 1, "rate_limit_logs": 1}
    with visiting(serve(rate_limit_enabled=1, **limits)) as visit:
        visit.expected = ("429",)
        page = visit.page
        visit.say("something sad")
        titles = visit.wait_for_answer()
        for title in titles[:2]:
            visit.card(title).get_by_role("button", name="Watch this").click()
            thanks = page.get_by_role("dialog")
            if title == titles[1]:
                expect(thanks).to_contain_text("That was a lot at once.")
            page.get_by_role("button", name="Back to the films").click()
        page.get_by_role("button", name="Happy").first.click()
        expect(page.locator("#trouble")).to_contain_text("That was a lot at once. Please wait")
