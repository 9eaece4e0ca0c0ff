"""What `flask doctor` finds, and an Ollama and a machine that it finds well."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from moodflix.doctor import checks
from moodflix.perception import face
from tests.conftest import MakeApp
from tests.fake_ollama import FILMS, Behaviour, FakeOllama, answer, replies, says

MODEL = "llama3.2:3b"
SIZE = 3_000_000_000
# What /api/show says of llama3.2:3b.
LLAMA = {
    "general.architecture": "llama",
    "llama.attention.head_count": 24,
    "llama.attention.head_count_kv": 8,
    "llama.attention.key_length": 128,
    "llama.attention.value_length": 128,
    "llama.block_count": 28,
    "llama.context_length": 131072,
    "llama.embedding_length": 3072,
}
# The parts it looks at without and with an LLM.
STATION = {"ollama", "database", "migrations", "disk", "choices", "face", "voice", "clock"}
PARTS = STATION | {"model", "loaded", "test call", "gpu", "memory"}


def holds(size: int = SIZE, on_gpu: int = SIZE, *others: str) -> Behaviour:
    ours = {"model": MODEL, "name": MODEL, "size": size, "size_vram": on_gpu}
    rest = [{"model": name, "name": name, "size": 1, "size_vram": 1} for name in others]
    return replies(200, {"models": [ours, *rest] if size else rest})


def make_healthy(ollama: FakeOllama) -> FakeOllama:
    """Let Ollama have the model pulled and loaded."""
    details = {"parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    ollama.shown = {"details": details, "model_info": LLAMA}
    ollama.paths["/api/tags"] = replies(200, {"models": [{"model": MODEL, "size": 2 * 10**9}]})
    ollama.paths["/api/ps"] = holds()
    ollama.default = says(answer(FILMS[:1]))
    return ollama


def make_roomy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the machine all it needs; return the file that tells its memory."""
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 8000000 kB\nMemAvailable:    4000000 kB\n")
    monkeypatch.setattr(checks, "MEMINFO", path)
    monkeypatch.setenv("TZ", "Asia/Seoul")
    monkeypatch.setattr(face, "nets_problem", lambda: "")
    monkeypatch.setattr(checks, "find_spec", lambda name: name == "av")
    set_free_disk(monkeypatch, 10**10)
    return path


def set_free_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


class Examined:
    """What `flask doctor --json` found."""

    def __init__(self, make_app: MakeApp, *options: str, **settings: object) -> None:
        runner = make_app(**settings).test_cli_runner()
        done = runner.invoke(args=["doctor", "--json", *options])
        self.exit_code, self.output = done.exit_code, done.stdout
        found = json.loads(done.stdout)
        self.healthy = found["healthy"]
        self.checks = {check["name"]: check for check in found["checks"]}
        assert len(self.checks) == len(found["checks"])

    def says(self, name: str) -> tuple[str, str]:
        return self.checks[name]["status"], self.checks[name]["found"]

    def remedy(self, name: str) -> str:
        return str(self.checks[name]["remedy"])

    def wrong(self) -> set[str]:
        return {name for name, check in self.checks.items() if check["status"] != "ok"}
