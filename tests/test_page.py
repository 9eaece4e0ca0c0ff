from __future__ import annotations

import json
import re
import ssl
import string
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from moodflix.films.shipped import GENRES
from moodflix.store.database import Database
from tests.server import PATIENCE, ROOT, GunicornServer, await_condition, make_certificate

WEB = ROOT / "moodflix" / "web"


def words(language: str) -> dict[str, str]:
    path = WEB / "translations" / f"{language}.json"
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def page_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="page-data">(.*)</script>', page)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_lets_nothing_in_or_out(client: FlaskClient) -> None:
    answered = client.get("/", headers={"Origin": "http://elsewhere.example"})
    assert answered.status_code == 200
    policy = answered.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not [name for name, _ in answered.headers if name.startswith("Access-Control")]
    assert not re.search(r"\son\w+=|\sstyle=|<style|https?://", answered.text)
    scripts = re.findall(r"<script[^>]*>", answered.text)
    assert len(scripts) == 2
    assert all("src=" in each or "application/json" in each for each in scripts)


def test_all_that_the_page_names_is_there_and_shared_with_no_other_origin(
    client: FlaskClient,
) -> None:
    pages = client.get("/").text + client.get("/dashboard").text
    named = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', pages))
    files = {path.name for path in (WEB / "static").glob("*.*")}
    assert {path.removeprefix("/static/") for path in named} - {"vendor/chart.js"} == files
    for path in named:
        answered = client.get(path, headers={"Origin": "http://elsewhere.example"})
        assert answered.status_code == 200, path
        assert "Access-Control-Allow-Origin" not in answered.headers
        answered.close()


def test_it_is_there_without_its_database(client: FlaskClient, database: Database) -> None:
    client.post("/inference/log", json={"movieTitle": "Paterson"})
    assert [film["title"] for film in page_data(client.get("/").text)["chosen"]] == ["Paterson"]
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE logs")
    answered = client.get("/")
    assert answered.status_code == 200
    assert page_data(answered.text)["chosen"] == []


def test_what_is_no_part_of_the_page_is_an_unknown_endpoint(client: FlaskClient) -> None:
    for path in ("/static/nothing.js", "/static/../pages.py", "/station.html"):
        answered = client.get(path)
        assert answered.status_code == 404
        assert answered.get_json() == {"error": "Unknown endpoint"}


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en-GB", "en"), ("fr, ko;q=0.1", "ko"), ("fr", "en")],
)
def test_it_speaks_the_browsers_language(client: FlaskClient, asked: str, spoken: str) -> None:
    page = client.get("/", headers={"Accept-Language": asked}).text
    assert f'<html lang="{spoken}"' in page
    assert page_data(page)["words"] == words(spoken)


def test_a_language_that_was_chosen_is_kept_by_the_device_but_not_by_a_kiosk(
    client: FlaskClient,
) -> None:
    assert '<html lang="ko"' in client.get("/?lang=ko&kiosk=1").text
    assert '<html lang="en"' in client.get("/").text
    assert '<html lang="ko"' in client.get("/?lang=ko").text
    assert '<html lang="ko"' in client.get("/?lang=xx").text
    assert '<html lang="en"' in client.get("/?kiosk=1").text


def test_both_catalogues_say_the_same_things() -> None:
    english, korean = words("en"), words("ko")
    assert list(english) == list(korean)
    for name, sentence in english.items():
        places = [
            {field for _, field, _, _ in string.Formatter().parse(each) if field}
            for each in (sentence, korean[name])
        ]
        assert places[0] == places[1], name
        assert sentence.strip()
        assert korean[name].strip()
    assert {name for name in english if name.startswith("genre-")} == {
        f"genre-{genre}" for genre in GENRES
    }


def test_every_sentence_is_used_and_every_used_one_is_there() -> None:
    paths = [*WEB.glob("templates/*"), *WEB.glob("static/*.js")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    # t("name"), the branches of a condition in it, and the values of tables.
    known = words("en")
    plain = set(re.findall(r'\bt\(["\']([\w-]+)["\'](?! ~)', text))
    assert plain <= known.keys()
    families = {"mood", "tone", "genre", "from", "day", "weather", "source", "missing", "read"}
    families |= {
        "weekday",
        "intent",
        "left",
        "llm",
        "range",
        "figure",
        "chart",
        "empty",
        "by",
        "rank",
        "first",
    }
    families |= {"outcome", "column"}
    named = set(re.findall(r'["\']([\w-]+)["\']', text))
    unused = {
        name for name in known if name not in named and name.partition("-")[0] not in families
    }
    assert unused == {"language"}


def test_what_the_station_is_told_of_itself_cannot_break_the_page(make_app: Any) -> None:
    city = '</script><script>alert("1")</script>'
    page = make_app(city=city).test_client().get("/").text
    assert "<script>alert" not in page
    assert page_data(page)["city"] == city


def test_it_serves_https_with_a_certificate(instance: Path, tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    settings = {"instance": instance, "llm": "embedded", "tls_cert": cert, "tls_key": key}
    served = GunicornServer(settings, tmp_path / "server.log")
    try:
        trusting = ssl.create_default_context(cafile=str(cert))
        url = f"https://127.0.0.1:{served.port}"
        with httpx.Client(
            base_url=url, verify=trusting, timeout=PATIENCE, trust_env=False
        ) as secure:

            def answers() -> bool:
                assert served.process.poll() is None, served.log
                try:
                    return secure.get("/").status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            await_condition(answers, "https")
            assert "MoodFlix" in secure.get("/").text
    finally:
        served.stop()
