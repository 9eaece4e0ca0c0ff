from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from moodflix.films import shipped
from tests.browser import DESK, KIOSK, PHONE, Visiting, overflow, shoot, tab_to
from tests.fake_ollama import FakeOllama, answer, once_released, says
from tests.server import Serve

WORDS = "I feel a bit lonely, something with food maybe"


def test_the_keyboard_alone_will_do(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        page = visit.page
        # There is nothing to skip to yet.
        expect(page.get_by_role("link", name="Skip to the films")).to_be_hidden()
        tab_to(page, page.get_by_label("own words"))
        page.keyboard.type("a sad day")
        tab_to(page, page.get_by_role("button", name="Fog"))
        page.keyboard.press("Enter")
        page.get_by_label("own words").focus()
        page.keyboard.press("Enter")
        titles = visit.wait_for_answer()
        page.evaluate("document.activeElement.blur()")
        tab_to(page, page.get_by_role("link", name="Skip to the films"))
        page.keyboard.press("Enter")
        undone = visit.card(titles[0]).get_by_role("button", name="Not tonight")
        tab_to(page, undone)
        assert undone.evaluate("it => getComputedStyle(it).outlineStyle") == "solid"
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Undo")).to_be_focused()
        tab_to(page, visit.card(titles[1]).get_by_role("button", name="Watch this"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert visit.newest_choice()["movieTitle"] == titles[1]


def test_axe_finds_nothing_in_any_state(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())))
    served = serve(llm="auto")
    assert served.post("/inference/log", {"movieTitle": "Paterson"}).is_success
    with visiting(served) as visit:
        page = visit.page
        expect(page.get_by_role("list", name="Lately chosen")).to_be_visible()
        visit.assert_accessible("asking")
        page.get_by_role("button", name="Edit").click()
        page.get_by_role("button", name="Use where I am").click()
        visit.assert_accessible("evening")
        page.get_by_role("button", name="Done").click()
        page.get_by_role("button", name="Look at me").click()
        visit.assert_accessible("notice")
        page.get_by_role("button", name="No, thanks").click()
        visit.say(WORDS)
        visit.wait_for_answer("thinking")
        visit.assert_accessible("thinking")
        ollama.released.set()
        title = visit.wait_for_answer("With ideas")[0]
        page.get_by_text("How it was read").click()
        visit.card(title).get_by_role("button", name="Not tonight").click()
        visit.assert_accessible("films")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        visit.assert_accessible("phone")
        visit.card(visit.titles()[0]).get_by_role("button", name="Watch this").click()
        expect(page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        visit.assert_accessible("thanks")
        page.get_by_role("button", name="Back to the films").click()
        visit.expected = ("ERR_FAILED",)
        page.route("**/inference", lambda route: route.abort())
        page.get_by_role("button", name="Show me others").click()
        expect(page.get_by_role("alert")).to_be_visible()
        visit.assert_accessible("trouble")


@pytest.mark.parametrize("size", [(320, 640), (360, 740), (640, 400), (960, 540), (1920, 1080)])
def test_no_size_needs_scrolling_sideways(
    serve: Serve, visiting: Visiting, size: tuple[int, int]
) -> None:
    # 640 x 400 is a laptop, 960 x 540 a kiosk at 200 % zoom.
    viewport = {"width": size[0], "height": size[1]}
    with visiting(serve(), viewport=viewport) as visit:
        assert overflow(visit.page) <= 0
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        assert overflow(visit.page) <= 0
        visit.card(title).get_by_role("button", name="Watch this").click()
        expect(visit.page.get_by_role("dialog")).to_be_in_viewport(ratio=0.6)
        assert overflow(visit.page) <= 0


def test_on_a_phone_what_was_read_stands_above_the_films(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(), viewport=PHONE) as visit:
        visit.say(WORDS)
        title = visit.wait_for_answer()[0]
        for each in ("#reading", "#moods", "#picks-title"):
            expect(visit.page.locator(each)).to_be_in_viewport(ratio=1)
        expect(visit.card(title)).to_be_in_viewport(ratio=0.2)
        visit.page.get_by_role("button", name="Show me others").click()
        expect(visit.card(title)).to_be_hidden()
        visit.wait_for_answer()
        expect(visit.page.locator("#picks-title")).to_be_in_viewport(ratio=1)
        expect(visit.page.locator("#reading")).not_to_be_in_viewport()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_films_move_only_for_who_likes_it(serve: Serve, visiting: Visiting, motion: str) -> None:
    with visiting(serve(), reduced_motion=motion) as visit:
        visit.page.evaluate(
            "() => { window.moved = 0; const real = Element.prototype.animate;"
            "Element.prototype.animate = function (...how) {"
            "window.moved += 1; return real.apply(this, how); }; }"
        )
        visit.say(WORDS)
        visit.wait_for_answer()
        assert (visit.page.evaluate("moved") > 0) == (motion == "no-preference")


def test_korean_by_the_browser_and_by_the_switch(serve: Serve, visiting: Visiting) -> None:
    served = serve()
    with visiting(served, locale="ko-KR", viewport=PHONE) as visit:
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_have_text("지금 기분이 어떠세요?")
        page.get_by_label("편하게 말해 주세요").fill("조금 외로워요")
        page.get_by_role("button", name="영화 찾기").click()
        titles = visit.wait_for_answer("스테이션이 직접 고른")
        assert visit.sent_bodies()[0]["language"] == "ko"
        assert visit.mood() == "슬퍼요"
        expect(visit.card(titles[0]).locator(".why")).to_contain_text("니다.")
        visit.assert_accessible("Korean")
        assert overflow(page) <= 0
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("How do you feel?")
        visit.goto()
        expect(page.get_by_role("heading", level=1)).to_have_text("How do you feel?")


def test_korean_films_are_called_so_in_korean_and_logged_as_ever(
    serve: Serve, visiting: Visiting
) -> None:
    with visiting(serve(), locale="ko-KR") as visit:
        page = visit.page
        page.get_by_label("편하게 말해 주세요").fill("기생충 같은 한국 영화")
        page.get_by_role("button", name="영화 찾기").click()
        shown = visit.wait_for_answer("스테이션이 직접 고른")
        name, film = next(
            (each, film)
            for each in shown
            if (film := shipped.find(each)) and film.original_title == each
        )
        card = visit.card(name)
        expect(card.locator(".original")).to_have_text(film.title)
        written = card.locator(".poster .title").all_text_contents()
        assert " ".join(written) == name
        card.get_by_role("button", name="이걸로 볼게요").click()
        expect(page.locator("#thanks .film-title")).to_have_text(name)
        expect(page.locator("#history li").first).to_have_attribute("title", name)
        assert visit.newest_choice()["movieTitle"] == film.title


def test_a_kiosk_left_alone_starts_again_as_nobody(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(), "/?kiosk=1", viewport=KIOSK, own_context=True) as visit:
        page = visit.page
        page.clock.install()
        visit.goto("/?kiosk=1&lang=ko")
        visit.goto("/?kiosk=1")
        # A kiosk keeps no language either.
        visit.say(WORDS)
        visit.wait_for_answer()
        page.keyboard.press("Shift")
        toast = page.get_by_text("Still there?")
        page.clock.run_for(45_000)
        expect(toast).to_be_hidden()
        page.clock.run_for(6_000)
        expect(toast).to_be_visible()
        visit.assert_accessible("idle")
        page.get_by_role("button", name="I'm here").click()
        # From here on time passes only as the test says, however slow the machine is.
        page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 10)
        page.keyboard.press("Shift")
        page.clock.run_for(1_000)
        expect(toast).to_be_hidden()
        # It stands before what is open.
        page.get_by_role("button", name="Edit").click()
        expect(page.get_by_text("Remembered on this device")).to_be_hidden()
        page.clock.run_for(52_000)
        expect(toast).to_be_visible()
        over = "it => it.matches(':popover-open')"
        assert page.locator("#idle").evaluate(over)
        page.keyboard.press("Escape")
        page.clock.run_for(1_000)
        expect(toast).to_be_hidden()
        page.clock.run_for(45_000)
        assert len(visit.titles()) == 6
        page.clock.run_for(16_000)
        expect(page.get_by_role("heading", name="For tonight")).to_be_hidden()
        page.wait_for_selector("body[data-ready]")
        expect(page.get_by_label("own words")).to_have_value("")
        visit.say(WORDS)
        visit.wait_for_answer()
        first, second = visit.sent_bodies()
        assert first["visitor"] != second["visitor"]
        links = page.get_by_role("link").evaluate_all("all => all.map(it => it.href)")
        assert all(link.startswith(visit.served.url) for link in links)
        assert page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desk", DESK), ("kiosk", KIOSK)])
def test_it_is_worth_a_picture(
    serve: Serve,
    visiting: Visiting,
    album: Path,
    name: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    served = serve(city="Jeonju")
    for title in ("Minari", "Parasite", "Paterson", "Spirited Away", "Amélie", "The Lunchbox"):
        assert served.post("/inference/log", {"movieTitle": title}).is_success
    path = "/?kiosk=1" if name == "kiosk" else "/"
    with visiting(served, path, viewport=size, color_scheme=scheme) as visit:
        expect(visit.page.get_by_role("list", name="Lately chosen")).to_be_visible()
        shoot(visit, album, f"station-{name}-{scheme}")
        visit.page.get_by_role("button", name="Rain").click()
        visit.say(WORDS)
        visit.wait_for_answer()
        shoot(visit, album, f"station-films-{name}-{scheme}")
