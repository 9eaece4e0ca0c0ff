from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix import create_app, demo
from moodflix.config import PREFIX, Settings, variable
from moodflix.films import shipped
from moodflix.films.shipped import ShippedFilm
from moodflix.instance import Instance
from moodflix.learning.files import ModelStore
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.store import migration
from moodflix.store.database import Database
from tests.browser import album, chromium, playwright, visiting, visiting_with
from tests.fake_ollama import FakeOllama
from tests.learning import train_here
from tests.sample import DAYS, NOW
from tests.server import GunicornServer, Serve, ServeGunicorn, ThreadedServer

__all__ = ["album", "chromium", "playwright", "visiting", "visiting_with"]
MakeApp = Callable[..., Flask]
OncePerRun = Callable[[str, Callable[[Path], object]], Path]

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


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """No setting of the machine reaches a test, and no test reaches an Ollama of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            # What `make test` was started with must not reach a make that a test starts.
            if name.startswith((PREFIX, "OLLAMA_", "MAKE", "MFLAGS")) or name in ("PYTHON", "VENV"):
                patch.delenv(name)
        patch.setenv(variable("rate_limit_enabled"), "0")
        patch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        yield


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


@pytest.fixture(autouse=True)
def training_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in this process, unless a test asks for `training_process`."""
    if "training_process" not in request.fixturenames:
        train_here(monkeypatch)


@pytest.fixture
def training_process() -> None:
    """Trainers of this process start one of their own, as a station does."""


@pytest.fixture(scope="session")
def once_per_run(tmp_path_factory: pytest.TempPathFactory) -> OncePerRun:
    """Make a folder by that name once, for all processes of a run: `once_per_run(name, make)`."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent

    def shared(name: str, make: Callable[[Path], object]) -> Path:
        folder = run / f"shared-{name}"
        with (run / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = Path(tempfile.mkdtemp(dir=run))
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return shared


@pytest.fixture(scope="session")
def migrated(once_per_run: OncePerRun) -> Path:
    """A database that `flask db upgrade` made, once; copied for each test."""

    def make(folder: Path) -> None:
        database = Database(f"sqlite:///{folder}/moodflix.sqlite3")
        migration.upgrade(database)
        database.engine.dispose()

    return once_per_run("migrated", make) / "moodflix.sqlite3"


@pytest.fixture(scope="session")
def sample(once_per_run: OncePerRun) -> Path:
    """A file of made-up visitors: see `tests/sample.py`."""
    made = once_per_run("sample", lambda folder: demo.load(Instance(folder), DAYS, 1, NOW))
    return Instance(made).sample


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


@contextmanager
def _gunicorns(instance: Path, logs: Path) -> Iterator[ServeGunicorn]:
    started: list[GunicornServer] = []

    def start(**settings: object) -> GunicornServer:
        chosen = {"instance": instance, "llm": "embedded"} | settings
        started.append(GunicornServer(chosen, logs / f"gunicorn-{len(started)}.log"))
        started[-1].wait_until_alive()
        return started[-1]

    yield start
    for served in started:
        served.stop()


@pytest.fixture
def serve_gunicorn(instance: Path, tmp_path: Path) -> Iterator[ServeGunicorn]:
    """Start real gunicorn processes on this test's database; settings are given by name."""
    with _gunicorns(instance, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_shared_gunicorn(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServeGunicorn]:
    """Start real gunicorn processes that several tests of a file use, on a database of theirs."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(migrated, folder)
    with _gunicorns(folder, folder) as start:
        yield start


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """A loopback server that speaks Ollama's API and misbehaves on request."""
    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        yield server
        server.assert_all_used()
