from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix import create_app
from moodflix.config import PREFIX, Settings
from moodflix.films import shipped
from moodflix.films.shipped import ShippedFilm
from moodflix.learning.files import ModelStore
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.store import migration
from moodflix.store.database import Database
from tests.browser import album, chromium, playwright, visiting, visiting_with
from tests.fake_ollama import FakeOllama
from tests.server import GunicornServer, Serve, ServeGunicorn, ThreadedServer

__all__ = ["album", "chromium", "playwright", "visiting", "visiting_with"]
MakeApp = Callable[..., Flask]

# The same examples each time, and no wall-clock deadline on any of them.
hypothesis.settings.register_profile("station", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("station")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: what it lacks, the tests need."""
    report = yield
    if report.skipped and "CI" in os.environ and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longreprtext}"
    return report


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches a test, and no test reaches an Ollama of the machine."""
    for name in list(os.environ):
        # What `make test` was started with must not reach a make that a test starts.
        if name.startswith((PREFIX, "OLLAMA_", "MAKE", "MFLAGS")) or name in ("PYTHON", "VENV"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")


@pytest.fixture(scope="session", autouse=True)
def films_learned_once() -> Iterator[None]:
    """Every test ranks the same films, and learning them takes a second."""
    prepare = Catalogue._prepare  # noqa: SLF001 - what is learned, whoever asks
    learned: dict[str, Any] = {}

    def once(catalogue: Catalogue, films: Sequence[ShippedFilm]) -> None:
        if films is not shipped.films():
            prepare(catalogue, films)
            return
        if not learned:
            before = set(vars(catalogue))
            prepare(catalogue, films)
            learned.update({name: vars(catalogue)[name] for name in {*vars(catalogue)} - before})
        vars(catalogue).update(learned, _films=films)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalogue, "_prepare", once)
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that `flask db upgrade` made, once; copied for each test."""
    path = tmp_path_factory.mktemp("migrated") / "moodflix.sqlite3"
    database = Database(f"sqlite:///{path}")
    migration.upgrade(database)
    database.engine.dispose()
    return path


@pytest.fixture
def instance(migrated: Path, tmp_path: Path) -> Path:
    """An instance folder with a migrated database of its own."""
    folder = tmp_path / "instance"
    folder.mkdir()
    shutil.copy(migrated, folder)
    return folder


@pytest.fixture
def store(instance: Path) -> ModelStore:
    """The stored models of this test's instance folder."""
    return ModelStore(instance / "models")


@pytest.fixture
def make_app(instance: Path) -> Iterator[MakeApp]:
    """Make apps on this test's database; settings are given by name. No LLM unless asked for."""
    made: list[Flask] = []

    def make(**settings: object) -> Flask:
        chosen = {"instance": instance, "llm": "embedded"} | settings
        app = create_app(Settings.model_validate(chosen))
        made.append(app)
        return app

    yield make
    # A connection that is still in use would outlive its engine.
    for thread in threading.enumerate():
        if thread.name == "trainer":
            thread.join()
    for app in made:
        app.extensions["moodflix.db"].engine.dispose()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def cli(app: Flask) -> FlaskCliRunner:
    """Runs commands: `cli.invoke(args=["logs", "export"])`."""
    return app.test_cli_runner()


@pytest.fixture
def database(app: Flask) -> Database:
    database: Database = app.extensions["moodflix.db"]
    return database


@pytest.fixture
def serve(instance: Path, tmp_path: Path) -> Iterator[Serve]:
    """Serve this test's database over loopback, in this process; settings are given by name."""
    started: list[ThreadedServer] = []

    def start(**settings: object) -> ThreadedServer:
        chosen = {"instance": instance, "llm": "embedded"} | settings
        started.append(ThreadedServer(chosen, tmp_path / f"server-{len(started)}.log"))
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def serve_gunicorn(instance: Path, tmp_path: Path) -> Iterator[ServeGunicorn]:
    """Start real gunicorn processes on this test's database; settings are given by name."""
    started: list[GunicornServer] = []

    def start(**settings: object) -> GunicornServer:
        chosen = {"instance": instance, "llm": "embedded"} | settings
        started.append(GunicornServer(chosen, tmp_path / f"gunicorn-{len(started)}.log"))
        started[-1].wait_until_alive()
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """A loopback server that speaks Ollama's API and misbehaves on request."""
    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        yield server
        server.assert_all_used()
