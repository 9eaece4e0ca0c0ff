from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser import Visiting
from tests.server import Serve, await_condition

WORDS = "I feel a bit lonely, something with food maybe"


def test_the_walk_by_words(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(city="Jeonju")) as visit:
        page = visit.page
        page.get_by_role("button", name="Rain").click()
        visit.say(WORDS)
        titles = visit.wait_for_answer()
        assert len(titles) == 6
        assert visit.mood() == "sad"
        assert "from your words" in page.locator("#read-sure").inner_text()
        [asked] = visit.sent_bodies()
        assert asked["text"] == WORDS
        assert asked["environment"]["city"] == "Jeonju"
        assert asked["environment"]["weather_desc"] == "rain"
        assert re.fullmatch("[0-9a-f]{32}", asked["visitor"])
        assert len(visit.card(titles[0]).locator(".why").inner_text()) > 10
        visit.card(titles[2]).get_by_role("button", name="Watch this").click()
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        expect(page.get_by_role("dialog")).to_contain_text(titles[2])
        choice = visit.newest_choice()
        assert choice["movieTitle"] == titles[2]
        assert (choice["mood"], choice["tone"], choice["city"]) == ("sad", "", "Jeonju")
        assert choice["weather_desc"] == "rain"
        assert visit.sent_bodies("/inference/log")[0]["inferenceId"]
        page.get_by_role("button", name="Back to the films").click()
        expect(page.get_by_role("list", name="Lately chosen")).to_contain_text(titles[2])


def test_the_walk_by_one_tap(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.page.get_by_role("button", name="Happy").first.click()
        visit.wait_for_answer()
        assert visit.sent_bodies()[0]["mood"] == "happy"
        assert visit.mood() == "happy"
        pressed = visit.page.get_by_role("group", name="Mood").locator("[aria-pressed=true]")
        expect(pressed).to_have_text("Happy")


def test_a_correction_ranks_again_and_is_logged(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        page = visit.page
        visit.say(WORDS)
        visit.wait_for_answer()
        assert visit.mood() == "sad"
        page.get_by_role("group", name="Mood").get_by_role("button", name="Angry").click()
        expect(page.locator("#read-mood")).to_have_text("Angry")
        visit.wait_for_answer()
        page.get_by_role("group", name="Voice").get_by_role("button", name="Excited").click()
        await_condition(lambda: len(visit.sent_bodies()) == 3, "the third question")
        expect(page.get_by_role("button", name="Show me others")).to_be_enabled()
        first, second, third = visit.sent_bodies()
        assert (first["mood"], second["mood"]) == ("", "angry")
        assert (third["mood"], third["tone"]) == ("angry", "excited")
        assert second["corrects"] != third["corrects"]
        visit.card(visit.titles()[0]).get_by_role("button", name="Watch this").click()
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        choice = visit.newest_choice()
        assert (choice["mood"], choice["tone"]) == ("angry", "excited")


def test_a_mood_tapped_again_is_taken_back(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        angry = visit.page.get_by_role("group", name="Mood").get_by_role("button", name="Angry")
        angry.click()
        visit.wait_for_answer()
        angry.click()
        expect(visit.page.locator("#read-sure")).to_contain_text("Tap a face")
        assert [asked["mood"] for asked in visit.sent_bodies()] == ["angry", ""]


def test_the_direction_is_asked_for(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.say(WORDS)
        before = visit.wait_for_answer()
        visit.page.get_by_role("button", name="Stay with it").click()
        await_condition(lambda: visit.titles() not in ([], before), "other films")
        assert [asked["intent"] for asked in visit.sent_bodies()] == ["auto", "stay"]


def test_others_never_repeat(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        others = visit.page.get_by_role("button", name="Show me others")
        visit.say(WORDS)
        seen = visit.wait_for_answer()
        for _ in range(4):
            last = visit.titles()[0]
            others.click()
            await_condition(lambda last=last: last not in visit.titles(), "others")  # type: ignore[misc]
            visit.wait_for_answer()
            seen += visit.titles()
        assert len(seen) == len(set(seen)) == 30


def test_a_verdict_is_sent_kept_for_the_visitor_and_undone(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve()) as visit:
        page = visit.page
        visit.say(WORDS)
        titles = visit.wait_for_answer()
        said = {
            "Not tonight": titles[0],
            "Seen it, loved it": titles[1],
            "Seen it, didn't": titles[2],
        }
        for name, title in said.items():
            visit.card(title).get_by_role("button", name=name).click()
            expect(page.locator("#cards .gone", has_text=title)).to_be_visible()
        undo = page.locator("#cards .gone", has_text=titles[1]).get_by_role("button", name="Undo")
        expect(undo).not_to_be_focused()
        undo.click()
        expect(visit.card(titles[1]).get_by_role("button", name="Watch this")).to_be_focused()
        sent = [
            (each["movieTitle"], each["verdict"])
            for each in visit.sent_bodies("/inference/feedback")
        ]
        assert sent == [
            (titles[0], "not-tonight"),
            (titles[1], "loved"),
            (titles[2], "disliked"),
            (titles[1], "none"),
        ]
        # The server remembers as well: a new page of this visitor excludes nothing by itself.
        page.reload()
        page.wait_for_selector("body[data-ready]")
        visit.say(WORDS)
        again = visit.wait_for_answer()
        assert visit.sent_bodies()[-1]["visitor"] == visit.sent_bodies()[0]["visitor"]
        assert not {titles[0], titles[2]} & set(again)
        assert titles[1] in again


def test_a_verdict_that_cannot_be_sent_leaves_the_film_out_all_the_same(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve()) as visit:
        visit.expected = ("status of 404",)
        visit.page.route(
            "**/inference/feedback", lambda route: route.fulfill(status=404, body="{}")
        )
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        dated = f"{title} ({visit.year(title)})"
        visit.card(title).get_by_role("button", name="Not tonight").click()
        gone = visit.page.locator("#cards .gone")
        expect(gone).to_contain_text("could not be remembered, but it is left out")
        visit.page.get_by_role("button", name="Cheer me up").click()
        await_condition(lambda: len(visit.titles()) == 6, "six films")
        assert visit.sent_bodies()[-1]["exclude"] == [dated]
        assert title not in visit.titles()


def test_an_undo_that_cannot_be_sent_leaves_the_film_out(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.expected = ("status of 404",)
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        dated = f"{title} ({visit.year(title)})"
        visit.card(title).get_by_role("button", name="loved it").click()
        visit.page.route(
            "**/inference/feedback", lambda route: route.fulfill(status=404, body="{}")
        )
        gone = visit.page.locator("#cards .gone")
        gone.get_by_role("button", name="Undo").click()
        expect(gone).to_contain_text("could not take that back")
        visit.page.get_by_role("button", name="Cheer me up").click()
        await_condition(lambda: len(visit.sent_bodies()) == 2, "another question")
        asked = visit.sent_bodies()[-1]
        assert (asked["exclude"], asked["movies"]) == ([dated], [dated])


def test_a_loved_film_is_a_hint_of_taste(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        dated = f"{title} ({visit.year(title)})"
        visit.card(title).get_by_role("button", name="loved it").click()
        visit.page.get_by_role("button", name="Cheer me up").click()
        await_condition(lambda: len(visit.titles()) == 6, "six films")
        assert visit.sent_bodies()[-1]["movies"] == [dated]


def test_a_choice_that_cannot_be_noted_says_so_and_is_tried_again(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve()) as visit:
        visit.expected = ("status of 500",)
        page = visit.page
        page.route("**/inference/log", lambda route: route.fulfill(status=500, body="{}"), times=1)
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        visit.card(title).get_by_role("button", name="Watch this").click()
        expect(page.get_by_role("dialog")).to_contain_text("could not be noted")
        page.get_by_role("dialog").get_by_role("button", name="Try again").click()
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        assert visit.newest_choice()["movieTitle"] == title


def test_the_history_is_newest_first_each_film_once_with_its_own_poster(
    serve: Serve, visiting: Visiting
) -> None:
    served = serve()
    for title in ("Paterson", "Mother", "No Such Film", "PATERSON"):
        assert served.post("/inference/log", {"movieTitle": title}).is_success
    with visiting(served) as visit:
        shown = visit.page.get_by_role("list", name="Lately chosen").locator("li")
        expect(shown.locator("> span")).to_have_text(["Paterson", "No Such Film", "Mother"])
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        visit.card(title).get_by_role("button", name="Watch this").click()
        expect(visit.page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        expect(shown.locator("> span").first).to_have_text(title)
        visit.goto()
        drawn = "it => [...it.children].map(each => each.getAttribute('fill')).join()"
        poster = shown.first.locator(".poster").evaluate(drawn)
        visit.say(WORDS)
        visit.wait_for_answer()
        # The year stands on the card's alone.
        assert visit.card(title).locator(".poster").evaluate(drawn).startswith(poster)


def pick(title: str, year: int | None) -> dict[str, Any]:
    return {"title": title, "year": year, "known": True, "why": "So.", "sources": {"llm": 1}}


def event(name: str, **data: Any) -> str:
    reading = {"label": "sad", "source": "text", "confidence": 0.5}
    perceived = {"mood": reading, "tone": reading}
    if name == "perceived":
        data = perceived
    elif name == "answer":
        data |= {"inferenceId": None, "llm": {"status": "used"}, "perceived": perceived}
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def test_films_of_one_title_are_different_films(serve: Serve, visiting: Visiting) -> None:
    remakes = [
        pick("Little Women", 1994),
        pick("Little Women (1949)", 1949),
        pick("Nameless", None),
    ]
    later = [pick("Little Women", 2019), pick("Little Women", 1994)]
    bodies = [
        event("perceived") + event("picks", picks=remakes),
        event("perceived") + event("picks", picks=remakes[1:]) + event("answer", picks=remakes),
        event("perceived")
        + event("picks", picks=[pick("Little Women", 1933)])
        + "".join(event("pick", **each) for each in later)
        + event("answer", picks=later[:1]),
    ]
    with visiting(serve()) as visit:
        page = visit.page
        page.route(
            "**/inference",
            lambda route: route.fulfill(body=bodies.pop(0), content_type="text/event-stream"),
        )
        visit.say(WORDS)
        # The answer never comes: chosen now, there is no answer's id.
        visit.wait_for_answer("The rest did not arrive")
        visit.card("Little Women").get_by_role("button", name="Watch this").click()
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        [choice] = visit.sent_bodies("/inference/log")
        assert (choice["movieTitle"], choice["movieYear"]) == ("Little Women", 1994)
        assert "inferenceId" not in choice
        page.get_by_role("button", name="Back to the films").click()
        visit.say(WORDS)
        visit.wait_for_answer("With ideas")
        page.get_by_role("button", name="Show me others").click()
        shown = ["Little Women (1949)", "Nameless", "Little Women (1994)"]
        await_condition(lambda: len(visit.sent_bodies()) == 3, "the third question")
        assert sorted(visit.sent_bodies()[-1]["exclude"]) == sorted(shown)
        expect(page.locator("#cards .facts")).to_contain_text(["2019"])
        visit.card("Little Women").get_by_role("button", name="Not tonight").click()
        expect(page.locator("#cards .gone")).to_be_visible()
        [verdict] = visit.sent_bodies("/inference/feedback")
        assert (verdict["movieTitle"], verdict["movieYear"]) == ("Little Women", 2019)
        visit.goto()
        lately = page.get_by_role("list", name="Lately chosen").locator("li > span")
        expect(lately).to_have_text(["Little Women (1994)"])


def test_titles_and_reasons_are_text_never_markup(serve: Serve, visiting: Visiting) -> None:
    nasty = "<img src=x onerror=alert(1)><b>Bold</b>"
    pick = {"title": nasty, "year": 2001, "known": False, "why": nasty, "sources": {"llm": 1}}
    answer: dict[str, Any] = {
        "picks": [pick],
        "inferenceId": None,
        "llm": {"status": "used"},
        "perceived": {
            "mood": {"label": nasty, "source": nasty, "confidence": 0.5},
            "tone": {"label": nasty, "source": nasty, "confidence": 0.5},
        },
    }
    body = f"event: answer\ndata: {json.dumps(answer)}\n\n"

    def fulfil(route: Route) -> None:
        route.fulfill(body=body, content_type="text/event-stream")

    with visiting(serve()) as visit:
        visit.page.route("**/inference", fulfil)
        visit.say(WORDS)
        visit.wait_for_answer("ideas")
        assert visit.titles() == [nasty]
        assert visit.page.locator("img, b").count() == 0
        expect(visit.card(nasty)).to_contain_text("Not in this station's list")
