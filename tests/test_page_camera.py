from __future__ import annotations

import base64
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import faces, voices
from tests.browser import Visiting
from tests.server import Serve, await_condition

FAKE = "--use-fake-device-for-media-stream"
BOTH = ["camera", "microphone"]


@pytest.fixture
def looking(tmp_path: Path) -> list[str]:
    """Flags of a Chromium before which somebody smiles and talks."""
    video, sound = tmp_path / "face.mjpeg", tmp_path / "voice.wav"
    video.write_bytes(faces.frame(faces.SMILING) * 30)
    sound.write_bytes(voices.speech(voices.LIVELY))
    return [
        FAKE,
        f"--use-file-for-fake-video-capture={video}",
        f"--use-file-for-fake-audio-capture={sound}",
    ]


def start(page: Page) -> None:
    page.get_by_role("button", name="Look at me").click()
    expect(page.get_by_role("dialog")).to_contain_text("nothing is kept")
    page.get_by_role("button", name="Start the camera").click()


def lacks(page: Page, *kinds: str) -> None:
    """Make the page's browser one without these devices."""
    page.evaluate(
        """kinds => {
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async wanted => {
                if (kinds.some(kind => wanted[kind])) throw new DOMException('', 'NotFoundError');
                return real(wanted);
            };
        }""",
        list(kinds),
    )


@faces.needs_npm
def test_the_walk_by_camera(serve: Serve, visiting_with: Visiting, looking: list[str]) -> None:
    with visiting_with(looking, serve(), permissions=BOTH) as visit:
        page = visit.page
        start(page)
        expect(page.locator("#camera-says")).to_have_text("Look here and tell me about your day.")
        expect(page.locator("#live-read")).to_have_text(re.compile(r"^Happy ?\d\d % sure$"))
        expect(page.locator("#live-read svg")).to_be_visible()
        expect(page.locator("#live-said")).to_have_text("Happy")
        visit.assert_accessible("looking")
        expect(page.locator("#camera .film canvas")).to_have_count(20)
        visit.wait_for_answer()
        expect(page.get_by_role("dialog")).to_be_hidden()
        [asked] = visit.sent_bodies()
        assert len(asked["images"]) == 20
        for glimpse in visit.sent_bodies("/inference/reading"):
            assert glimpse.keys() == {"path", "images"}
            assert glimpse["images"][0] in asked["images"]
        assert base64.b64decode(asked["images"][0]).startswith(b"\xff\xd8\xff")
        assert base64.b64decode(asked["audio"]).startswith(b"\x1aE\xdf\xa3")
        assert visit.mood() == "happy"
        assert "from your face" in page.locator("#read-sure").inner_text()
        page.get_by_text("How it was read").click()
        expect(page.locator("#signals")).to_contain_text("Happy")
        expect(page.locator("#signals .film svg")).to_have_count(8)
        # What was read of the frames is sent again, for they are gone.
        page.get_by_role("button", name="Cheer me up").click()
        await_condition(lambda: len(visit.sent_bodies()) == 2, "the second question")
        visit.wait_for_answer()
        assert "images" not in visit.sent_bodies()[1]
        assert visit.mood() == "happy"
        # The notice stands before the camera each time.
        start(page)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert len(visit.sent_bodies()) == 2


def reads(label: str, source: str = "face") -> dict[str, Any]:
    mood = {"label": label, "source": source, "confidence": 0.6}
    return {"perceived": {"mood": mood, "face": {"missing": None}}}


def test_a_live_reading_that_fails_is_not_missed(serve: Serve, visiting_with: Visiting) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        visit.expected = ("ERR_FAILED",)
        visit.page.route("**/inference/reading", lambda route: route.abort())
        start(visit.page)
        visit.wait_for_answer()
        assert len(visit.sent_bodies("/inference/reading")) > 1
        assert len(visit.sent_bodies()[0]["images"]) == 20
        expect(visit.page.locator("#live-read")).to_be_empty()


def test_one_live_reading_is_asked_for_at_a_time_and_given_up_at_the_end(
    serve: Serve, visiting_with: Visiting
) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        ended: list[str] = []
        visit.page.on("requestfailed", lambda request: ended.append(request.url))
        # It never answers.
        visit.page.route("**/inference/reading", lambda _: None)
        start(visit.page)
        visit.wait_for_answer()
        assert len(visit.sent_bodies("/inference/reading")) == 1
        assert len(visit.sent_bodies()[0]["images"]) == 20
        assert f"{visit.served.url}/inference/reading" in ended


def test_a_live_reading_that_wavers_is_seen_but_not_said(
    serve: Serve, visiting_with: Visiting
) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        readings = itertools.cycle([reads("happy"), reads("sad")])
        visit.page.route("**/inference/reading", lambda route: route.fulfill(json=next(readings)))
        start(visit.page)
        expect(visit.page.locator("#live-read")).to_contain_text("Sad")
        visit.wait_for_answer()
        assert len(visit.sent_bodies("/inference/reading")) > 2
        expect(visit.page.locator("#live-said")).to_be_empty()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reads("neutral", "none"), "Not sure yet"),
        ({"perceived": {"mood": {"source": "none"}, "face": {"missing": "no_face"}}}, "No face"),
    ],
    ids=["unsure", "no face"],
)
def test_a_live_reading_that_finds_nothing_says_so(
    serve: Serve, visiting_with: Visiting, answer: dict[str, Any], said: str
) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        visit.page.route("**/inference/reading", lambda route: route.fulfill(json=answer))
        start(visit.page)
        expect(visit.page.locator("#live-read")).to_contain_text(said)
        expect(visit.page.locator("#live-said")).to_contain_text(said)
        visit.page.get_by_role("button", name="Stop").click()
        expect(visit.page.get_by_role("dialog")).to_be_hidden()
        assert visit.sent_bodies() == []


def test_the_camera_stops_when_its_dialog_is_closed(serve: Serve, visiting_with: Visiting) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        start(visit.page)
        video = visit.page.locator("#camera video")
        await_condition(lambda: video.evaluate("it => !!it.srcObject"), "the picture")
        track = video.evaluate_handle("it => it.srcObject.getVideoTracks()[0]")
        visit.page.keyboard.press("Escape")
        await_condition(lambda: track.evaluate("it => it.readyState") == "ended", "the end")
        assert visit.sent_bodies() == []


def test_a_refused_camera_has_a_sentence_and_a_way_on(
    serve: Serve, visiting_with: Visiting
) -> None:
    with visiting_with([FAKE, "--deny-permission-prompts"], serve()) as visit:
        start(visit.page)
        expect(visit.page.get_by_role("alert")).to_contain_text("was not allowed")
        visit.assert_accessible("refused")
        visit.page.get_by_role("button", name="Close").click()
        visit.say("a sad day")
        assert len(visit.wait_for_answer()) == 6


@pytest.mark.parametrize(
    ("missing", "said", "sent"),
    [
        (["audio"], "only the pictures are read", {"images"}),
        (["video"], "only your voice is read", {"images", "audio"}),
    ],
    ids=["no microphone", "no camera"],
)
def test_one_device_will_do(
    serve: Serve, visiting_with: Visiting, missing: list[str], said: str, sent: set[str]
) -> None:
    with visiting_with([FAKE], serve(), permissions=BOTH) as visit:
        lacks(visit.page, *missing)
        start(visit.page)
        expect(visit.page.locator("#camera-says")).to_contain_text(said)
        visit.wait_for_answer()
        [asked] = visit.sent_bodies()
        assert {"images", "audio"} & asked.keys() == sent
        assert len(asked["images"]) == (20 if missing == ["audio"] else 0)


@pytest.mark.parametrize(
    ("error", "said"),
    [("NotFoundError", "No camera and no microphone"), ("NotReadableError", "Another program")],
)
def test_each_failure_of_the_camera_has_its_sentence(
    serve: Serve, visiting: Visiting, error: str, said: str
) -> None:
    with visiting(serve()) as visit:
        visit.page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = "
            "async () => { throw new DOMException('', name); }; }",
            error,
        )
        start(visit.page)
        expect(visit.page.get_by_role("alert")).to_contain_text(said)
        visit.page.get_by_role("button", name="Try again").click()
        expect(visit.page.get_by_role("alert")).to_contain_text(said)


def test_an_insecure_origin_is_told_what_browsers_want(
    serve: Serve, visiting_with: Visiting
) -> None:
    served = serve(host="0.0.0.0")
    served.url = f"http://station.test:{served.port}"
    flags = ["--host-resolver-rules=MAP station.test 127.0.0.1"]
    with visiting_with(flags, served) as visit:
        start(visit.page)
        expect(visit.page.get_by_role("alert")).to_contain_text("only over https")
