from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import update

from benchmarks.dashboard import build
from moodflix.store.database import Database
from moodflix.store.models import THIRDS, film_tallies, tallies
from tests.browser import PHONE, Visit, Visiting, overflow, shoot, tab_to
from tests.faces import needs_npm
from tests.server import Serve, Served, await_condition

pytestmark = needs_npm
COUNTED = ("choices", "films", "acceptance", "origins", "seconds", "llm")
WITH_CANVAS = (*COUNTED, "models")
TOKEN = "open sesame"


@pytest.fixture
def sampled(serve: Serve, instance: Path, sample: Path) -> Served:
    """A station where nothing was chosen, with samples of five weeks."""
    shutil.copy(sample, instance)
    return serve()


def card(page: Page, name: str) -> Locator:
    return page.locator(f"[data-chart={name}]")


def figures(page: Page) -> list[str]:
    return page.locator("#figures dd").all_inner_texts()


def settled(page: Page) -> None:
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")


def await_drawn(canvas: Locator) -> str:
    """The picture on a canvas, once it is not blank; the library draws when it knows the size."""
    # Of a copy: Chromium warns of a canvas that is read over and over.
    copied = """it => {
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [it.width, it.height];
        const pen = copy.getContext("2d", { willReadFrequently: true });
        if (it.width && it.height) pen.drawImage(it, 0, 0);
        else return "";
        const blank = !pen.getImageData(0, 0, it.width, it.height).data.some((part) => part);
        return blank ? "" : copy.toDataURL();
    }"""
    await_condition(lambda: bool(canvas.evaluate(copied)), "a chart")
    picture: str = canvas.evaluate(copied)
    return picture


def choices(visit: Visit, query: str) -> Any:
    return visit.served.get(f"/dashboard/data/choices?{query}").json()


def test_an_empty_station_shows_what_will_appear(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(), "/dashboard") as visit:
        page = visit.page
        expect(page.get_by_text("flask demo load")).to_be_visible()
        expect(page.locator(".chart .ghost:visible")).to_have_count(9)
        expect(card(page, "choices")).to_contain_text("A bar for each day")
        expect(page.locator("canvas")).to_have_count(0)
        expect(page.get_by_label("Which days")).to_be_hidden()
        visit.assert_accessible("empty")
        assert overflow(page) <= 0


def test_samples_stand_in_where_nothing_was_chosen(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard") as visit:
        page = visit.page
        expect(page.get_by_text("Sample data")).to_be_visible()
        for name in WITH_CANVAS:
            canvas = card(page, name).get_by_role("img")
            found = card(page, name).locator(".found").inner_text()
            assert canvas.get_attribute("aria-label") == found
            await_drawn(canvas)
            assert re.search(r"\d", found)
        expect(card(page, "hours").get_by_role("cell")).to_have_count(7 * 24 + 1)
        expect(card(page, "readings").get_by_role("rowheader", name="Sad")).to_be_visible()
        rows = choices(visit, "sample=1")["rows"]
        assert figures(page)[0] == str(sum(n for _, n in rows))
        assert all(re.search(r"\d", figure) for figure in figures(page))


def test_days_are_chosen_without_another_load(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard") as visit:
        page = visit.page
        page.evaluate("window.same = true")
        month = figures(page)
        expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")

        page.get_by_role("button", name="7 days").click()
        expect(page).to_have_url(re.compile(r"/dashboard\?days=7$"))
        expect(page.get_by_label("From", exact=True)).to_have_value("2026-02-23")
        settled(page)
        week = figures(page)
        assert week[0] == str(sum(n for _, n in choices(visit, "sample=1&days=7")["rows"]))

        page.get_by_label("To", exact=True).fill("2026-02-24")
        expect(page).to_have_url(re.compile(r"\?from=2026-02-23&to=2026-02-24$"))
        expect(card(page, "choices").locator(".found")).to_contain_text("in 2 days")
        assert page.get_by_label("From", exact=True).get_attribute("max") == "2026-02-24"
        link = card(page, "choices").get_by_role("link", name="Download CSV")
        assert "from=2026-02-23&to=2026-02-24" in (link.get_attribute("href") or "")
        with page.expect_download() as downloading:
            link.click()
        assert downloading.value.path().read_text().startswith("day,choices\n2026-02-23,")

        page.go_back()
        expect(card(page, "choices").locator(".found")).not_to_contain_text("in 2 days")
        settled(page)
        assert figures(page) == week
        page.go_back()
        expect(page).to_have_url(re.compile(r"/dashboard$"))
        expect(page.get_by_role("button", name="30 days")).to_have_attribute("aria-pressed", "true")
        settled(page)
        assert figures(page) == month
        assert page.evaluate("window.same")

        visit.goto("/dashboard?days=7")
        assert figures(page) == week


def test_a_mood_is_chosen_for_each_chart_by_itself(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard") as visit:
        page = visit.page
        films, hours = card(page, "films"), card(page, "hours")
        films.get_by_label("Mood").select_option("Uneasy")
        expect(films.get_by_role("img", name="Uneasy: ")).to_be_visible()
        hours.get_by_label("Mood").select_option("Sad")
        expect(hours.get_by_role("table", name="Sad: most often on")).to_be_visible()
        expect(page).to_have_url(re.compile(r"\?films=fear&hours=sad$"))
        films.get_by_text("As a table").click()
        expect(films.get_by_role("columnheader").first).to_have_text("Mood")
        moods = films.locator("tbody td:first-child").all_inner_texts()
        assert set(moods) == {"Uneasy"}
        visit.goto("/dashboard?films=fear&hours=sad")
        expect(films.get_by_label("Mood")).to_have_value("fear")
        expect(hours.get_by_label("Mood")).to_have_value("sad")
        page.get_by_role("link", name="한국어").click()
        expect(films.get_by_label("기분")).to_have_value("fear")


def test_the_keyboard_alone_will_do(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard") as visit:
        page = visit.page
        tab_to(page, page.get_by_role("button", name="7 days"))
        page.keyboard.press("Enter")
        expect(page.get_by_label("From", exact=True)).to_have_value("2026-02-23")
        settled(page)
        expect(page.get_by_role("button", name="7 days")).to_be_focused()
        tab_to(page, card(page, "choices").locator("summary"))
        page.keyboard.press("Enter")
        table = card(page, "choices").get_by_role("group", name="How much is it used?")
        tab_to(page, table)
        assert table.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
        expect(table.get_by_role("row")).to_have_count(8)
        tab_to(page, card(page, "hours").get_by_label("Mood"))
        page.keyboard.type("Happy")
        page.keyboard.press("Enter")
        expect(card(page, "hours").get_by_role("table", name="Happy: ")).to_be_visible()


def test_axe_finds_nothing_with_samples(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard") as visit:
        page = visit.page
        visit.assert_accessible("samples")
        for each in page.locator("summary").all():
            each.click()
        expect(page.locator("details .scroll").first).to_be_visible()
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        visit.assert_accessible("tables")
        visit.expected = ("ERR_FAILED",)
        page.route("**/data/llm?*", lambda route: route.abort())
        page.get_by_role("button", name="7 days").click()
        expect(page.get_by_role("alert")).to_contain_text("could not be added up")
        expect(card(page, "llm")).to_contain_text("could not be added up")
        settled(page)
        await_drawn(card(page, "choices").get_by_role("img"))
        visit.assert_accessible("failed")
        page.unroute("**/data/llm?*")
        page.get_by_role("button", name="Try again").click()
        expect(card(page, "llm").get_by_role("img")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_it_is_drawn_anew_for_the_night(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard", color_scheme="light") as visit:
        canvas = card(visit.page, "choices").get_by_role("img")
        by_day = await_drawn(canvas)
        visit.page.emulate_media(color_scheme="dark")
        await_condition(lambda: await_drawn(canvas) != by_day, "another picture")


def test_tables_stand_in_where_the_library_does_not_run(
    sampled: Served, visiting: Visiting
) -> None:
    with visiting(sampled, "/dashboard") as visit:
        visit.expected = ("ERR_FAILED",)
        visit.page.route("**/vendor/chart.js", lambda route: route.abort())
        visit.goto("/dashboard")
        for name in WITH_CANVAS:
            expect(card(visit.page, name).get_by_role("table")).to_be_visible()
        expect(visit.page.locator("canvas")).to_have_count(0)
        visit.assert_accessible("no library")


def test_the_operator_logs_in_and_out(serve: Serve, visiting: Visiting) -> None:
    served = serve(api_token=TOKEN)
    assert served.post("/inference/log", {"movieTitle": "Paterson"}).is_success
    with visiting(served, "/dashboard") as visit:
        page = visit.page
        visit.expected = ("401",)
        field = page.get_by_label("Token")
        expect(field).to_be_focused()
        visit.assert_accessible("log in")
        page.keyboard.type("sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        visit.assert_accessible("wrong")
        field.fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(card(page, "choices").get_by_role("img")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        # Somebody changed the token meanwhile.
        page.context.clear_cookies()
        page.get_by_role("button", name="7 days").click()
        field.fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Log out").click()
        expect(field).to_be_focused()
        visit.goto("/dashboard")
        expect(field).to_be_visible()


def test_who_comes_from_elsewhere_is_told_so(serve: Serve, visiting: Visiting) -> None:
    elsewhere = {"X-Forwarded-For": "192.168.0.9"}
    with visiting(serve(), "/dashboard", extra_http_headers=elsewhere) as visit:
        visit.expected = ("403",)
        expect(visit.page.get_by_text("MOODFLIX_API_TOKEN")).to_be_visible()
        visit.assert_accessible("forbidden")


def test_it_speaks_korean(sampled: Served, visiting: Visiting) -> None:
    with visiting(sampled, "/dashboard", locale="ko-KR", viewport=PHONE) as visit:
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_have_text("스테이션이 배운 것")
        expect(card(page, "choices").locator(".found")).to_contain_text("월")
        expect(card(page, "hours").get_by_role("rowheader", name="월요일")).to_be_visible()
        assert figures(page)[-1].endswith("초")
        visit.assert_accessible("Korean")
        assert overflow(page) <= 0


@pytest.mark.parametrize("size", [(320, 640), (360, 740), (640, 400), (960, 540), (1920, 1080)])
def test_no_size_needs_scrolling_sideways(
    sampled: Served, visiting: Visiting, size: tuple[int, int]
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with visiting(sampled, "/dashboard", viewport=viewport) as visit:
        for each in visit.page.locator("summary").all():
            each.click()
        assert overflow(visit.page) <= 0


@pytest.mark.slow
def test_a_million_choices_are_drawn(instance: Path, serve: Serve, visiting: Visiting) -> None:
    database = Database(f"sqlite:///{instance}/moodflix.sqlite3")
    build(database, 50_000, 3_000)
    # What is shown are sums: each row counts for twenty.
    films = {name: 20 * film_tallies.c[name] for name in THIRDS}
    with database.write() as session:
        session.execute(update(tallies).values(n=20 * tallies.c.n))
        session.execute(update(film_tallies).values(films))
    database.engine.dispose()
    with visiting(serve(), "/dashboard?days=all") as visit:
        assert figures(visit.page)[0] == "1,000,000"
        for name in COUNTED:
            await_drawn(card(visit.page, name).get_by_role("img"))


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        ("desk", {"width": 1600, "height": 2010}, "light"),
        ("desk", {"width": 1600, "height": 2010}, "dark"),
        ("phone", PHONE, "light"),
    ],
)
def test_it_is_worth_a_picture(
    sampled: Served,
    visiting: Visiting,
    album: Path,
    name: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    with visiting(sampled, "/dashboard", viewport=size, color_scheme=scheme) as visit:
        for each in WITH_CANVAS:
            await_drawn(card(visit.page, each).get_by_role("img"))
        shoot(visit, album, f"dashboard-{name}-{scheme}")
