"""Debian's Chromium, as a person uses it; what goes wrong unseen is remembered and asserted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.server import PATIENCE, ROOT, Served

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
KIOSK = {"width": 1920, "height": 1080}
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
# A root's session without a screen, as in CI.
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


class Visit:
    """One person in front of the page."""

    def __init__(self, page: Page, served: Served) -> None:
        self.page = page
        self.served = served
        self.requests: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        #: Parts of console errors that the test brings about.
        self.expected: tuple[str, ...] = ()
        self._wrong: list[str] = []
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._wrong.append(str(error)))

    def _on_request(self, request: Any) -> None:
        self.requests.append(request.url)
        if request.method == "POST":
            self.bodies.append({"path": request.url.removeprefix(self.served.url)})
            self.bodies[-1] |= request.post_data_json

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._wrong.append(f"{message.text} {message.location}")

    def sent_bodies(self, path: str = "/inference") -> list[dict[str, Any]]:
        """The bodies that were sent to an endpoint."""
        return [body for body in self.bodies if body["path"] == path]

    def goto(self, path: str = "/") -> None:
        self.page.goto(self.served.url + path)
        self.page.wait_for_selector("body[data-ready]")

    def say(self, words: str) -> None:
        self.page.get_by_label("own words").fill(words)
        self.page.get_by_role("button", name="Find a film").click()

    def titles(self) -> list[str]:
        return self.page.locator("#cards h3").all_inner_texts()

    def wait_for_answer(self, status: str = "own picks") -> list[str]:
        expect(self.page.locator("#status")).to_contain_text(status)
        return self.titles()

    def card(self, title: str) -> Any:
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.locator("#cards > li").filter(has=heading)

    def year(self, title: str) -> str:
        facts: str = self.card(title).locator(".facts").inner_text()
        return facts.partition(" · ")[0]

    def mood(self) -> str:
        return self.page.locator("#read-mood").inner_text().lower()

    def newest_choice(self) -> dict[str, Any]:
        [choice] = self.served.get("/inference/log?limit=1").json()
        return dict(choice)

    def assert_accessible(self, state: str = "") -> None:
        """Have axe-core look at the page as it is, in light and in dark."""
        if not AXE.exists():
            pytest.skip("axe-core is not here; run: npm ci")
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
            problems = [
                f"{each['id']}: {node['html']} {node['failureSummary']}"
                for each in found["violations"]
                for node in each["nodes"]
            ]
            assert problems == [], f"{state}, {scheme}"

    def assert_well(self) -> None:
        assert {url for url in self.requests if not url.startswith(self.served.url)} == set()
        wrong = [each for each in self._wrong if not any(part in each for part in self.expected)]
        assert wrong == []


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("it => it === document.activeElement"):
            return
    pytest.fail("no Tab leads there")


def overflow(page: Page) -> int:
    wide: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide


def shoot(visit: Visit, folder: Path, name: str) -> None:
    visit.page.mouse.move(0, 0)
    path = folder / f"{name}.png"
    visit.page.screenshot(path=path)
    with Image.open(path) as shot:
        # A page of one colour is no picture.
        assert len(shot.convert("RGB").resize((64, 64)).getcolors(4096) or ()) > 20


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Where pictures go; make screenshots makes those of the README."""
    folder = ROOT / os.environ.get("SCREENSHOTS", tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


Visiting = Callable[..., AbstractContextManager[Visit]]


class Chromium:
    """A browser whose contexts are kept by their options: a new one takes a second to warm up."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: dict[str, BrowserContext] = {}

    @contextmanager
    def visit(self, served: Served, path: str, **wishes: Any) -> Iterator[Visit]:
        own_context = wishes.pop("own_context", False)
        # What a page may have for itself needs no context of its own.
        viewport = wishes.pop("viewport", DESK)
        media: dict[str, Any] = {"reduced_motion": wishes.pop("reduced_motion", "reduce")}
        if "color_scheme" in wishes:
            media["color_scheme"] = wishes.pop("color_scheme")
        options = {"locale": "en-US"} | wishes
        context = self._new(options) if own_context else self._context(options)
        page = context.new_page()
        try:
            page.set_viewport_size(viewport)
            page.emulate_media(**media)
            visit = Visit(page, served)
            visit.goto(path)
            yield visit
            visit.assert_well()
        finally:
            if own_context:
                context.close()
            else:
                _clear(context, page, served)

    def _context(self, options: dict[str, Any]) -> BrowserContext:
        name = json.dumps(options, sort_keys=True)
        if name not in self._kept:
            self._kept[name] = self._new(options)
            # A page that stays open keeps the process that draws the others.
            self._kept[name].new_page()
        return self._kept[name]

    def _new(self, options: dict[str, Any]) -> BrowserContext:
        context = self._browser.new_context(**options | {"viewport": DESK})
        context.set_default_timeout(1000 * PATIENCE)
        return context


def _clear(context: BrowserContext, page: Page, served: Served) -> None:
    """Leave nothing of a visit to the next."""
    origin = {"origin": served.url, "storageTypes": "all"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", origin)
    context.clear_cookies()
    for each in context.pages[1:]:
        each.close()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=1000 * PATIENCE)
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Callable[..., Chromium]]:
    """One browser for each set of flags of Chromium's own."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not here; run: sudo apt-get install chromium")
    with ExitStack() as stack:

        @cache
        def launched(*flags: str) -> Chromium:
            browser = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *flags])
            stack.callback(browser.close)
            return Chromium(browser)

        yield launched


@pytest.fixture
def visiting(chromium: Callable[..., Chromium]) -> Visiting:
    """Visit the page: `with visiting(served, "/?kiosk=1", viewport=KIOSK) as visit`."""

    def visit(served: Served, path: str = "/", **wishes: Any) -> AbstractContextManager[Visit]:
        return chromium().visit(served, path, **wishes)

    return visit


@pytest.fixture
def visiting_with(chromium: Callable[..., Chromium]) -> Visiting:
    """Visit with flags of Chromium's own: `with visiting_with(flags, served) as visit`."""

    def visit(
        flags: list[str], served: Served, path: str = "/", **wishes: Any
    ) -> AbstractContextManager[Visit]:
        return chromium(*flags).visit(served, path, **wishes)

    return visit
