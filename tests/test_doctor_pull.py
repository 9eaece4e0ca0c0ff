from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.examined import MODEL, Examined, make_healthy, make_roomy
from tests.fake_ollama import Behaviour, FakeOllama, Handler, replies, resets
from tests.server import ROOT

LAYERS = (
    {"status": "pulling manifest"},
    {"status": "pulling dde5aa3fc5ff", "digest": "sha256:dde5aa3fc5ffc17176", "total": 200},
    {
        "status": "pulling dde5aa3fc5ff",
        "digest": "sha256:dde5aa3fc5ffc17176",
        "total": 200,
        "completed": 150,
    },
    {
        "status": "pulling dde5aa3fc5ff",
        "digest": "sha256:dde5aa3fc5ffc17176",
        "total": 200,
        "completed": 200,
    },
    {"status": "pulling 34bb5ab01051", "digest": "sha256:34bb5ab01051", "total": 5, "completed": 5},
    {"status": "verifying sha256 digest"},
)
SUCCESS = {"status": "success"}


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return make_roomy(monkeypatch, tmp_path)


@pytest.fixture
def healthy(ollama: FakeOllama) -> FakeOllama:
    return make_healthy(ollama)


def lines(*items: dict[str, Any]) -> Behaviour:
    """Stream the lines of a pull."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for item in items:
            handler.chunk(json.dumps(item).encode() + b"\n")
        handler.end_stream()

    return behave


def test_it_pulls_the_model_first(make_app: MakeApp, healthy: FakeOllama) -> None:
    healthy.paths["/api/pull"] = lines(*LAYERS, SUCCESS)
    done = make_app(llm="auto").test_cli_runner().invoke(args=["doctor", "--pull"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"ok      pull        {MODEL} is pulled\n")


def test_it_shows_the_progress_of_a_pull_on_a_terminal(healthy: FakeOllama, instance: Path) -> None:
    healthy.paths["/api/pull"] = lines(*LAYERS, SUCCESS)
    ours, theirs = pty.openpty()
    settings = {"MOODFLIX_LLM": "auto", "MOODFLIX_INSTANCE": str(instance)}
    with os.fdopen(ours, "rb") as screen:
        command = [sys.executable, "-m", "flask", "doctor", "--pull", "--json"]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=False,
        )
        os.close(theirs)
        shown = b""
        # A terminal that nobody writes to any more ends with an error.
        with contextlib.suppress(OSError):
            while more := screen.read1():
                shown += more
    assert done.returncode == 0
    assert json.loads(done.stdout)["checks"][0]["name"] == "pull"
    assert b"Pulling dde5aa3fc5ff" in shown
    assert b"75%" in shown
    assert b"100%" in shown


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (lines(*LAYERS), "the pull broke off"),
        (
            lines({"error": "pull model manifest: file does not exist"}),
            "Ollama's library has no such model",
        ),
        (
            lines(*LAYERS, {"error": "write /srv/models: no space left on device"}),
            "the disk of Ollama's models is full",
        ),
        (
            lines({"error": 'Get "https://registry.ollama.ai/v2/": dial tcp: lookup failed'}),
            "Ollama can't reach its library",
        ),
        (lines(*LAYERS, {"error": "/secret/path"}), "Ollama broke off with an error"),
        (replies(500, {"error": "odd"}), "Ollama answered HTTP 500"),
        (resets, "the connection to Ollama broke"),
    ],
)
def test_it_says_why_a_pull_failed(
    make_app: MakeApp, healthy: FakeOllama, behave: Behaviour, said: str
) -> None:
    healthy.paths["/api/pull"] = behave
    found = Examined(make_app, "--pull", llm="auto")
    assert (found.exit_code, found.wrong()) == (1, {"pull"})
    assert found.says("pull") == ("broken", said)
    assert found.remedy("pull")
    assert "secret" not in found.output


def test_it_resumes_a_pull_of_which_more_is_said_than_the_wire_takes(
    make_app: MakeApp, healthy: FakeOllama
) -> None:
    pulls = 0

    def behave(handler: Handler) -> None:
        nonlocal pulls
        pulls += 1
        if pulls > 1:
            lines(SUCCESS)(handler)
            return
        handler.begin_stream()
        line = json.dumps(LAYERS[0]).encode() + b"\n"
        for _ in range(10):
            handler.chunk(line + b'{"status": "%s"}\n' % (b"x" * 2**20))

    healthy.paths["/api/pull"] = behave
    assert Examined(make_app, "--pull", llm="auto").says("pull") == ("ok", f"{MODEL} is pulled")
    assert pulls == 2
