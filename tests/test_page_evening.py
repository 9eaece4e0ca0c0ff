from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import Visiting
from tests.server import Serve, await_condition
from tests.test_page_walk import WORDS


def test_a_page_that_stays_open_over_midnight_knows_the_new_day(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve(city="Jeonju")) as visit:
        page = visit.page
        page.get_by_role("button", name="Rain").click()
        page.clock.set_fixed_time(page.evaluate("Date.now()") / 1000 + 24 * 3600)
        day = page.evaluate("new Date().toLocaleDateString('en', {weekday: 'long'})")
        visit.say(WORDS)
        visit.wait_for_answer()
        environment = visit.sent_bodies()[-1]["environment"]
        assert (environment["city"], environment["weekday"]) == ("Jeonju", day)
        assert "weather_desc" not in environment
        expect(page.locator("#evening-now")).to_contain_text(day)


def test_the_evening_is_edited_and_remembered(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(city="Jeonju"), timezone_id="Asia/Seoul", own_context=True) as visit:
        page = visit.page
        page.clock.set_fixed_time("2026-05-15T20:00:00+09:00")
        visit.goto()
        now = page.locator("#evening-now")
        expect(now).to_have_text("Jeonju · Friday · tomorrow a day off")
        page.get_by_role("button", name="Edit").click()
        page.get_by_label("Place").fill("Busan")
        page.get_by_label("Temperature").fill("21.5")
        page.get_by_label("Tomorrow").select_option("a working day")
        page.get_by_role("button", name="Done").click()
        page.get_by_role("button", name="Fog").click()
        edited = "Busan · 21.5 °C · Friday · tomorrow a working day"
        expect(now).to_have_text(edited)
        visit.goto()
        expect(now).to_have_text(edited)
        visit.say(WORDS)
        visit.wait_for_answer()
        assert visit.sent_bodies()[0]["environment"] == {
            "city": "Busan",
            "weekday": "Friday",
            "today_status": "work",
            "tomorrow_status": "work",
            "weather_desc": "fog",
            "temperature": "21.5",
        }
        page.clock.set_fixed_time("2026-05-16T20:00:00+09:00")
        visit.goto()
        expect(now).to_have_text("Busan · Saturday · tomorrow a day off")


def test_the_browser_says_where_it_is_when_asked(serve: Serve, visiting: Visiting) -> None:
    where = {"latitude": 35.8242, "longitude": 127.148}
    with visiting(serve(city="Jeonju"), geolocation=where, permissions=["geolocation"]) as visit:
        page = visit.page
        page.get_by_role("button", name="Edit").click()
        page.get_by_role("button", name="Use where I am").click()
        expect(page.get_by_label("Place")).to_have_value("35.82, 127.15")
        page.get_by_role("button", name="Done").click()
        visit.say(WORDS)
        visit.wait_for_answer()
        environment = visit.sent_bodies()[0]["environment"]
        assert (environment["lat"], environment["lon"]) == (35.82, 127.15)


def test_a_browser_that_may_say_where_it_is_does_so_unasked(
    serve: Serve, visiting: Visiting
) -> None:
    where = {"latitude": 35.8242, "longitude": 127.148}
    with visiting(serve(), geolocation=where, permissions=["geolocation"]) as visit:
        expect(visit.page.locator("#evening-now")).to_contain_text("35.82, 127.15")
        visit.say(WORDS)
        visit.wait_for_answer()
        environment = visit.sent_bodies()[0]["environment"]
        assert (environment["lat"], environment["lon"]) == (35.82, 127.15)
    with visiting(serve(city="Jeonju"), geolocation=where, permissions=["geolocation"]) as visit:
        expect(visit.page.locator("#evening-now")).to_contain_text("Jeonju")


def test_a_browser_that_does_not_say_where_it_is_has_a_sentence(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve()) as visit:
        visit.page.get_by_role("button", name="Edit").click()
        visit.page.get_by_role("button", name="Use where I am").click()
        expect(visit.page.get_by_text("does not tell where you are")).to_be_visible()


def test_weather_tapped_among_the_films_ranks_again(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.say(WORDS)
        visit.wait_for_answer()
        visit.page.get_by_role("button", name="Snow").click()
        await_condition(lambda: len(visit.sent_bodies()) == 2, "the second question")
        visit.wait_for_answer()
        assert visit.sent_bodies()[1]["environment"]["weather_desc"] == "snow"
