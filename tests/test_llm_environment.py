"""Settings of the environment that HTTP clients read, as a real `flask` meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeApp
from tests.examined import Examined, make_healthy
from tests.fake_ollama import FakeOllama
from tests.server import ROOT

PROXY = "socks5://127.0.0.1:9"
# What no answer of Ollama's may depend on.
HARMLESS = {
    "proxies": {"ALL_PROXY": PROXY, "http_proxy": "odd://127.0.0.1:9", "NO_PROXY": "[::1]"},
    "proxies in lower case": {"all_proxy": PROXY, "HTTPS_PROXY": " http://a b", "no_proxy": "[::1"},
    "certificates": {"SSL_CERT_FILE": "/nope", "SSL_CERT_DIR": "/no", "SSLKEYLOGFILE": "/no/x"},
}
# What is read, and what is said of it.
ADDRESSES = {
    "a bad port": ({"OLLAMA_HOST": "127.0.0.1:x"}, "OLLAMA_HOST is not an address"),
    "blanks inside": ({"OLLAMA_HOST": "127.0.0.1 :9"}, "OLLAMA_HOST is not an address"),
    "a key": ({"OLLAMA_API_KEY": "\uc5f4\uc1e0"}, "OLLAMA_API_KEY is not ASCII"),
}


def flask_doctor(instance: Path, llm: str, variables: dict[str, str]) -> tuple[str, str]:
    """The status of Ollama and what was found, by `flask doctor` in a process of its own."""
    settings = {"MOODFLIX_LLM": llm, "MOODFLIX_INSTANCE": str(instance)}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "doctor", "--json"],
        cwd=ROOT,
        env=os.environ | settings | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    ollama = json.loads(done.stdout)["checks"][0]
    return ollama["status"], ollama["found"]


@pytest.mark.parametrize("variables", HARMLESS.values(), ids=HARMLESS.keys())
def test_it_reaches_ollama_whatever_else_is_set(
    instance: Path, ollama: FakeOllama, variables: dict[str, str]
) -> None:
    make_healthy(ollama)
    status, found = flask_doctor(instance, "auto", variables)
    assert status == "ok"
    assert found.startswith("version 0.33.0 answers")


@pytest.mark.parametrize(("variables", "problem"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_a_bad_value_is_one_line_that_names_the_variable(
    instance: Path, ollama: FakeOllama, variables: dict[str, str], problem: str
) -> None:
    assert flask_doctor(instance, "auto", variables) == ("broken", problem)


def test_an_embedded_station_needs_none_of_it(instance: Path) -> None:
    wrong = {"OLLAMA_HOST": "::1", "ALL_PROXY": PROXY, "SSL_CERT_FILE": "/nope"}
    status, found = flask_doctor(instance, "embedded", wrong)
    assert (status, found) == ("ok", "not asked: MOODFLIX_LLM=embedded")


@pytest.mark.parametrize("wrap", [" {} ", '"{}"', "' {} '", "\t{}\n"])
def test_blanks_and_quotes_around_an_address_are_no_part_of_it(
    make_app: MakeApp, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, wrap: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", wrap.format(ollama.url))
    assert make_app(llm="auto").extensions["moodflix.station"].llm.check() == ("up", "")


@pytest.mark.parametrize("host", ["::1", "[::1]", " '::1' ", "[::1]:9", "http://[::1]:9"])
def test_an_ipv6_address_is_read_as_this_machine(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    monkeypatch.setattr("moodflix.recommend.llm.client.shutil.which", lambda _: "/bin/ollama")
    found = Examined(make_app, llm="auto")
    assert found.says("ollama") == ("broken", "Ollama is not reachable")
    assert found.remedy("ollama") == "ollama serve"
