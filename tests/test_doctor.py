from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.examined import LLAMA, MODEL, PARTS, SIZE, Examined, holds, make_healthy, make_roomy
from tests.fake_ollama import (
    FILMS,
    Behaviour,
    FakeOllama,
    Handler,
    answer,
    dribbles,
    hangs,
    replies,
    resets,
    says,
)

SMALLER = "MOODFLIX_OLLAMA_MODEL=llama3.2:1b flask doctor --pull"
RESTART = "sudo systemctl restart ollama"
RIGHT_HOST = "export OLLAMA_HOST=127.0.0.1:11434"


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return make_roomy(monkeypatch, tmp_path)


@pytest.fixture
def healthy(ollama: FakeOllama) -> FakeOllama:
    return make_healthy(ollama)


def test_it_finds_all_well(make_app: MakeApp, healthy: FakeOllama) -> None:
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.healthy, found.wrong()) == (0, True, set())
    assert found.checks.keys() == PARTS
    assert found.says("ollama")[1].startswith("version 0.33.0 answers within ")
    assert found.says("model")[1] == f"{MODEL} is pulled (3.2B, Q4_K_M, 2.0 GB)"
    assert found.says("loaded")[1] == "3.0 GB in memory"
    assert found.says("gpu")[1] == "100 % of the model is on the GPU"
    # 4096 tokens x 28 layers x 8 heads x (128 + 128) x 2 bytes
    assert found.says("memory")[1] == (
        "num_ctx 4096 takes at most 469.8 MB of the 3.0 GB loaded; 4.1 GB are still free"
    )
    assert found.says("test call")[1].endswith(" s, at 50.0 tokens/s")
    assert found.says("face")[1] == "moods are read from camera frames"
    assert found.says("voice")[1] == "tones are read from recorded clips"


def test_its_test_call_is_the_question_of_an_answer(make_app: MakeApp, healthy: FakeOllama) -> None:
    Examined(make_app, llm="auto")
    (asked,) = healthy.requests
    assert asked["model"] == MODEL
    assert asked["stream"] is True
    assert asked["options"]["num_ctx"] == 4096
    assert asked["format"]["properties"]["films"]["maxItems"] == 1


def test_it_prints_a_line_a_part(make_app: MakeApp, healthy: FakeOllama) -> None:
    healthy.paths["/api/ps"] = holds(0, 0)
    done = make_app(llm="auto").test_cli_runner().invoke(args=["doctor"])
    assert (done.exit_code, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    assert len(printed) == len(PARTS) - 1
    assert printed[1] == f"ok      model       {MODEL} is pulled (3.2B, Q4_K_M, 2.0 GB)"
    assert printed[2] == (
        "warning loaded      was not in memory: an answer waits until it is; "
        f'run: ollama run {MODEL} ""'
    )


def test_each_problem_has_a_command_and_nothing_else_does(
    make_app: MakeApp, healthy: FakeOllama, instance: Path
) -> None:
    shutil.rmtree(instance)
    healthy.paths["/api/ps"] = holds(SIZE, SIZE // 2)
    found = Examined(make_app, llm="auto")
    assert found.wrong() == {"gpu", "database"}
    for check in found.checks.values():
        assert check.keys() == {"name", "status", "found", "remedy"}
        assert check["status"] in {"ok", "warning", "broken"}
        assert check["found"]
        assert "\n" not in check["found"] + check["remedy"]
        assert bool(check["remedy"]) == (check["status"] != "ok")


@pytest.mark.parametrize("installed", [True, False])
def test_it_says_how_to_start_an_absent_ollama(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, installed: bool
) -> None:
    program = tmp_path / "ollama"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path if installed else tmp_path / "none"))
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.healthy, found.wrong()) == (1, False, {"ollama"})
    assert found.says("ollama") == ("broken", "Ollama is not reachable")
    install = "curl -fsSL https://ollama.com/install.sh | sh"
    assert found.remedy("ollama") == ("ollama serve" if installed else install)
    assert "model" not in found.checks


@pytest.mark.parametrize("host", ["http://127.0.0.2:9", "http://[", "http://127.0.0.1:x"])
def test_it_doubts_an_address_that_leads_nowhere(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    found = Examined(make_app, llm="auto")
    assert found.wrong() == {"ollama"}
    assert found.remedy("ollama") == RIGHT_HOST


def dribbles_spaces(handler: Handler) -> None:
    handler.begin_stream()
    dribbles(b" ")(handler)


@pytest.mark.parametrize(
    ("path", "part", "stall"),
    [("/api/version", "ollama", hangs), ("/api/ps", "loaded", dribbles_spaces)],
)
def test_it_waits_five_seconds_at_most(
    make_app: MakeApp,
    healthy: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    part: str,
    stall: Behaviour,
) -> None:
    healthy.paths[path] = stall
    found = Examined(make_app, llm="auto")
    assert found.exit_code == 1
    assert found.says(part) == ("broken", "no complete answer within 5 s")
    assert found.remedy(part) == RESTART


def test_it_gives_a_test_call_the_time_of_an_answer(make_app: MakeApp, healthy: FakeOllama) -> None:
    healthy.then(hangs)
    found = Examined(make_app, llm="auto", llm_timeout=1)
    assert (found.exit_code, found.wrong()) == (1, {"test call"})
    assert found.says("test call") == ("broken", "no complete answer within 1 s")
    assert found.remedy("test call") == SMALLER


def takes_its_time(handler: Handler) -> None:
    handler.server.fake.released.wait(0.9)
    says(answer(FILMS[:1]))(handler)


def test_it_warns_when_all_films_would_take_too_long(
    make_app: MakeApp, healthy: FakeOllama
) -> None:
    healthy.then(takes_its_time)
    found = Examined(make_app, llm="auto", llm_timeout=4)
    assert (found.exit_code, found.wrong()) == (0, {"test call"})
    assert found.says("test call")[1].endswith("may take longer than MOODFLIX_LLM_TIMEOUT=4")
    assert found.remedy("test call") == SMALLER


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (replies(500, {"error": "/usr/lib/ollama died"}), "Ollama answered HTTP 500"),
        (resets, "the connection to Ollama broke"),
        (says("no films today"), "the LLM's answer was cut short or malformed"),
    ],
)
def test_it_says_why_a_test_call_failed(
    make_app: MakeApp, healthy: FakeOllama, behave: Behaviour, said: str
) -> None:
    healthy.default = behave
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.wrong()) == (1, {"test call"})
    assert found.says("test call") == ("broken", said)
    assert found.remedy("test call") == RESTART


@pytest.mark.parametrize(
    "behave",
    [
        replies(404, {"error": "not found"}),
        replies(200, ["odd"]),
        replies(200, {"version": 1}),
        replies(200, {"other": ""}),
        replies(307, Location="/elsewhere"),
        lambda it: it.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>"),
    ],
)
def test_it_knows_what_is_no_ollama(
    make_app: MakeApp, healthy: FakeOllama, behave: Behaviour
) -> None:
    healthy.paths["/api/version"] = behave
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.wrong()) == (1, {"ollama"})
    assert found.says("ollama")[1] == "what answers at OLLAMA_HOST does not speak Ollama's API"
    assert found.remedy("ollama") == RIGHT_HOST


@pytest.mark.parametrize(
    ("version", "status"),
    [("0.4.7", "broken"), ("0.5.0", "ok"), ("0.0.0", "ok"), ("1.0", "ok"), ("0.²", "ok")],
)
def test_it_knows_an_ollama_that_is_too_old(
    make_app: MakeApp, healthy: FakeOllama, version: str, status: str
) -> None:
    healthy.paths["/api/version"] = replies(200, {"version": version})
    assert Examined(make_app, llm="auto").says("ollama")[0] == status


def test_it_prints_no_control_characters_of_a_server(
    make_app: MakeApp, healthy: FakeOllama
) -> None:
    healthy.paths["/api/version"] = replies(200, {"version": "0.33\x1b[2J\nok all"})
    printed = make_app(llm="auto").test_cli_runner().invoke(args=["doctor"]).stdout
    assert printed.startswith("ok      ollama      version 0.332Jokall answers")


def test_it_says_how_to_pull_a_missing_model(make_app: MakeApp, healthy: FakeOllama) -> None:
    healthy.shown_status, healthy.shown = 404, {"error": f"model '{MODEL}' not found"}
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.wrong()) == (1, {"model"})
    assert found.says("model") == ("broken", f"model '{MODEL}' is not pulled")
    assert found.remedy("model") == f"ollama pull {MODEL}"
    assert "test call" not in found.checks


def test_it_quotes_a_name_for_the_shell(make_app: MakeApp, healthy: FakeOllama) -> None:
    healthy.shown_status, healthy.shown = 404, {"error": "not found"}
    found = Examined(make_app, llm="auto", ollama_model="a; rm -r b")
    assert found.remedy("model") == "ollama pull 'a; rm -r b'"


@pytest.mark.parametrize(
    ("on_gpu", "others", "said", "remedy"),
    [
        (SIZE // 2, (), "50 % of the model is on the GPU: memory was short", f"stop {MODEL} && "),
        (SIZE // 2, ("qwen3:8b",), "50 % of the model is on the GPU", "stop qwen3:8b && "),
        (0, (), "0 % of the model is on the GPU", RESTART),
    ],
)
def test_it_says_how_much_of_the_model_is_on_the_gpu(
    make_app: MakeApp,
    healthy: FakeOllama,
    on_gpu: int,
    others: tuple[str, ...],
    said: str,
    remedy: str,
) -> None:
    healthy.paths["/api/ps"] = holds(SIZE, on_gpu, *others)
    found = Examined(make_app, llm="auto")
    assert (found.exit_code, found.wrong()) == (0, {"gpu"})
    assert found.says("gpu")[1].startswith(said)
    assert remedy in found.remedy("gpu")


@pytest.mark.parametrize(
    ("info", "free", "status", "said"),
    [
        (LLAMA, 4_000_000, "ok", "the whole model about 2.8 GB; 4.1 GB are free"),
        (LLAMA, 2_000_000, "warning", "the whole model about 2.8 GB; 2.0 GB are free"),
        (LLAMA, None, "ok", "can't tell if it fits: the system doesn't say"),
        ({}, 4_000_000, "ok", "can't tell if it fits: Ollama doesn't say the model's layers"),
        (LLAMA | {"llama.attention.head_count_kv": None}, 4_000_000, "ok", "can't tell if it fits"),
        (LLAMA | {"llama.block_count": "many"}, 4_000_000, "ok", "can't tell if it fits"),
        # Layers of kinds: only two keep keys.
        (
            LLAMA | {"llama.attention.head_count_kv": [0, 8, 0, 8]},
            4_000_000,
            "ok",
            "takes at most 33.6 MB, ",
        ),
        # Without lengths a head is its share of the width, here 128 too.
        (
            {key: value for key, value in LLAMA.items() if "_length" not in key}
            | {"llama.embedding_length": 3072},
            4_000_000,
            "ok",
            "takes at most 469.8 MB, ",
        ),
        (LLAMA | {"llama.context_length": 2048}, 4_000_000, "warning", "more than the 2048 tokens"),
    ],
)
def test_it_weighs_the_context_against_the_memory(
    make_app: MakeApp,
    healthy: FakeOllama,
    memory: Path,
    info: dict[str, Any],
    free: int | None,
    status: str,
    said: str,
) -> None:
    healthy.paths["/api/ps"] = holds(0, 0)
    healthy.shown = {"details": {}, "model_info": info}
    memory.write_text("" if free is None else f"MemAvailable: {free} kB\n")
    found = Examined(make_app, llm="auto")
    assert found.says("memory")[0] == status
    assert said in found.says("memory")[1]
    assert found.remedy("memory") == (SMALLER if status == "warning" else "")


def test_it_does_not_judge_the_memory_of_another_machine(
    make_app: MakeApp, healthy: FakeOllama, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.write_text("MemAvailable: 1 kB\n")
    # An address that is not seen to be this machine's own.
    monkeypatch.setenv("OLLAMA_HOST", healthy.url.replace("127.0.0.1", "127.1"))
    found = Examined(make_app, llm="auto")
    assert found.wrong() == set()
    assert found.says("memory")[1].endswith("can't tell if it fits: Ollama is on another machine")


def test_it_warns_when_a_loaded_model_leaves_no_memory(
    make_app: MakeApp, healthy: FakeOllama, memory: Path
) -> None:
    memory.write_text("MemAvailable: 100000 kB\n")
    assert Examined(make_app, llm="auto").says("memory")[0] == "warning"
