"""Is the page light and quick? Budgets, asserted; ``python -m benchmarks.pages``.

The station runs without an LLM. Until the page is ready, Chromium's processor is slowed down four
times.
"""

from __future__ import annotations

import gzip
import json
import shutil
import statistics
import sys
from typing import Any, Final

import click
from playwright.sync_api import Browser, Page, Response, sync_playwright

from benchmarks.station import new_station
from tests.server import ROOT, await_condition

_ROUNDS: Final = 7
_SLOWDOWN: Final = 4
# Bytes, or milliseconds.
_BUDGETS: Final = {"bytes": 150_000, "first_paint": 500, "ready": 1000, "picks": 200}


def _weigh(browser: Browser, url: str) -> int:
    page = browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - it wants a function
    page.goto(url, wait_until="networkidle")
    size = sum(len(gzip.compress(answer.body())) for answer in answers)
    page.close()
    return size


def _visit(browser: Browser, url: str) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    processor = page.context.new_cdp_session(page)
    processor.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWDOWN})
    page.add_init_script(_WATCH)
    page.goto(url)
    painted = "!!seen.ready && performance.getEntriesByType('paint').length > 0"
    await_condition(lambda: bool(page.evaluate(painted)), "the first paint")
    found = {
        "first_paint": page.evaluate("performance.getEntriesByType('paint')[0].startTime"),
        "ready": page.evaluate("seen.ready"),
    }
    processor.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    found["picks"] = _picks(page)
    page.close()
    return found


# When the page is ready, and how long after a question the films are painted.
_WATCH = """
window.seen = {};
new MutationObserver(() => {
    if ('ready' in (document.body?.dataset ?? {})) seen.ready ??= performance.now();
    if (seen.asked && document.querySelector('#cards li'))
        requestAnimationFrame(() => { seen.picks ??= performance.now() - seen.asked; });
}).observe(document, {subtree: true, childList: true, attributes: true});
const real = window.fetch;
window.fetch = (path, ...rest) => {
    if (path === '/inference') seen.asked = performance.now();
    return real(path, ...rest);
};
"""


def _picks(page: Page) -> float:
    page.fill("#text", "I feel a bit lonely, something with food maybe")
    page.click("#words .main")
    await_condition(lambda: bool(page.evaluate("!!seen.picks")), "the films")
    return float(page.evaluate("seen.picks"))


def _measure(url: str) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        # The first visit warms the station, not the browser: each visit has a cache of its own.
        visits = [_visit(browser, url) for _ in range(_ROUNDS + 1)][1:]
        figures: dict[str, float] = {"bytes": _weigh(browser, url)}
        for name in visits[0]:
            figures[name] = statistics.median(each[name] for each in visits)
        browser.close()
    return figures


def main() -> None:
    """Measure, print and write the figures; exit with 1 if one is over its budget."""
    with new_station() as served:
        figures = _measure(served.url)
    over: list[Any] = []
    for name, value in figures.items():
        unit = "bytes" if name == "bytes" else "ms"
        click.echo(f"{name:12} {value:9.0f} {unit} of {_BUDGETS[name]}")
        if value > _BUDGETS[name]:
            over.append(name)
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "pages.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if over:
        sys.exit(f"over budget: {', '.join(over)}")


if __name__ == "__main__":
    main()
