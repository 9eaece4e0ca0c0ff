"""`flask backup` and `flask restore`: everything a station keeps, there and back."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from zipfile import ZipFile

import pytest
from click.testing import Result

from moodflix.instance import Instance
from moodflix.learning.files import ModelStore
from tests.conftest import MakeApp
from tests.server import GunicornServer, Serve, Served, ServeGunicorn, await_condition

KEY = bytes(range(32))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "station.zip"


@pytest.fixture
def run(make_app: MakeApp) -> Callable[..., Result]:
    """Run a command in an app of its own, as a process of its own would."""

    def invoke(*args: object) -> Result:
        app = make_app()
        done = app.test_cli_runner().invoke(args=[str(each) for each in args])
        app.extensions["moodflix.db"].close()
        return done

    return invoke


def titles(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in connection.execute("SELECT movie_title FROM logs ORDER BY id")]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def require_line(done: Result, reason: str) -> None:
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert reason in done.output


def add_models(instance: Path) -> None:
    models = instance / "models"
    models.mkdir()
    for number in (1, 2, 3):
        (models / f"{number:06}.npz").write_bytes(b"model %d" % number)
    ModelStore(models).use(2)
    (models / "lock").touch()
    (instance / "dashboard.key").write_bytes(KEY)


@dataclass
class Load:
    """What is saved while a backup is made: by four writers, and in the middle of its copying."""

    served: Served
    acknowledged: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    during: list[str] = field(default_factory=list)
    _stopped: Event = field(default_factory=Event)

    def save(self, title: str) -> None:
        assert self.served.post("/inference/log", {"movieTitle": title}).status_code == 200
        self.acknowledged.append(title)

    def save_some(self, share: float) -> None:
        if share < 0.5 and len(self.during) < 20:
            self.during.append(f"During {share}")
            self.save(self.during[-1])

    def write(self, writer: int) -> None:
        for place in range(100_000):
            if self._stopped.is_set():
                return
            self.save(f"Film {writer}-{place}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(self.write, writer) for writer in range(4)]
            try:
                await_condition(lambda: len(self.acknowledged) > 40, "40 choices")
                self.before = list(self.acknowledged)
                yield
            finally:
                self._stopped.set()
            for writer in writers:
                writer.result()


def test_what_is_kept_goes_there_and_back_while_writing_goes_on(
    run: Callable[..., Result],
    serve: Serve,
    instance: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_models(instance)
    served = serve(retrain_rows=1_000_000, retrain_hours=0)  # the models stay as they are
    load = Load(served)

    @contextmanager
    def progress(label: str) -> Iterator[Callable[[float], None]]:
        yield load.save_some if label == "Backing up" else lambda _: None

    monkeypatch.setattr("moodflix.store.snapshot._PAGES", 8)
    monkeypatch.setattr("moodflix.cli.backup._progress", progress)
    with load.writing():
        done = run("backup", archive)
    assert done.exit_code == 0, done.output
    assert len(load.during) == 20
    assert archive.stat().st_mode & 0o777 == 0o600
    served.stop()
    whole = titles(instance / "moodflix.sqlite3")
    assert sorted(whole) == sorted(load.acknowledged)

    (instance / "dashboard.key").write_bytes(KEY[::-1])
    ModelStore(instance / "models").use(3)
    done = run("restore", archive)
    assert done.exit_code == 0, done.output
    restored = titles(instance / "moodflix.sqlite3")
    # The log as it was at one moment while the backup was made.
    assert restored == whole[: len(restored)]
    assert {*load.before} <= {*restored}
    assert not {*restored} & {*load.during}
    assert ModelStore(instance / "models").numbers() == [1, 2, 3]
    assert ModelStore(instance / "models").current() == 2
    assert (instance / "dashboard.key").read_bytes() == KEY
    for name in ("moodflix.sqlite3", "dashboard.key", "models/000001.npz"):
        assert (instance / name).stat().st_mode & 0o777 == 0o600

    [kept] = instance.glob("replaced-*")
    assert str(kept) in done.output
    assert titles(kept / "moodflix.sqlite3") == whole
    assert (kept / "dashboard.key").read_bytes() == KEY[::-1]
    assert ModelStore(kept / "models").current() == 3
    again = serve()
    assert again.post("/inference/log", {"movieTitle": "Mother"}).status_code == 200
    assert len(again.get("/inference/log?limit=10000").json()) == len(restored) + 1


def is_free(instance: Path) -> bool:
    lock = Instance(instance).lock(alone=True)
    if lock is not None:
        os.close(lock)
    return lock is not None


def test_a_running_station_is_backed_up_and_not_replaced(
    run: Callable[..., Result], serve_gunicorn: ServeGunicorn, instance: Path, archive: Path
) -> None:
    served = serve_gunicorn(workers=2)
    assert served.post("/inference/log", {"movieTitle": "Mother"}).is_success
    assert run("backup", archive).exit_code == 0
    assert served.post("/inference/log", {"movieTitle": "Parasite"}).is_success
    before = set(instance.iterdir())
    require_line(run("restore", archive), "the station is running; stop it first")
    assert set(instance.iterdir()) == before
    assert served.post("/inference/log", {"movieTitle": "Dune"}).is_success
    served.kill()
    await_condition(lambda: is_free(instance), "the last process of the station to end")
    done = run("restore", archive)
    assert done.exit_code == 0, done.output
    assert titles(instance / "moodflix.sqlite3") == ["Mother"]
    [kept] = instance.glob("replaced-*")
    assert titles(kept / "moodflix.sqlite3") == ["Mother", "Parasite", "Dune"]


def test_a_station_does_not_start_while_a_backup_is_restored(
    instance: Path, tmp_path: Path
) -> None:
    lock = Instance(instance).lock(alone=True)
    assert lock is not None
    served = GunicornServer({"instance": instance, "llm": "embedded"}, tmp_path / "log")
    assert served.wait_until_ended() == 1
    assert served.log.endswith(
        "moodflix: a backup is being restored; start the station once that is done\n"
    )
    served.stop()
    os.close(lock)


def test_a_database_open_elsewhere_is_not_replaced(
    run: Callable[..., Result], instance: Path, archive: Path
) -> None:
    assert run("backup", archive).exit_code == 0
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection:
        connection.execute("SELECT count(*) FROM logs").fetchone()
        require_line(run("restore", archive), "something has the database open; close it first")
    assert run("restore", archive).exit_code == 0


def test_a_backup_moves_to_a_new_machine(
    run: Callable[..., Result], make_app: MakeApp, instance: Path, archive: Path, tmp_path: Path
) -> None:
    add_models(instance)
    assert run("backup", archive).exit_code == 0
    new = tmp_path / "new"
    done = make_app(instance=new).test_cli_runner().invoke(args=["restore", str(archive)])
    assert done.output == f"Restored {archive}.\n"
    assert sorted(path.name for path in new.iterdir()) == [
        "dashboard.key",
        "models",
        "moodflix.sqlite3",
    ]


def test_a_damaged_database_is_replaced_and_kept(
    run: Callable[..., Result], instance: Path, archive: Path
) -> None:
    assert run("backup", archive).exit_code == 0
    content = archive.read_bytes()
    damaged = b"no database" * 1000
    (instance / "moodflix.sqlite3").write_bytes(damaged)
    require_line(run("backup", archive), "the database file is damaged")
    assert archive.read_bytes() == content
    (instance / "moodflix.sqlite3-wal").write_bytes(b"the last choices")
    done = run("restore", archive)
    assert done.exit_code == 0, done.output
    assert titles(instance / "moodflix.sqlite3") == []
    [kept] = instance.glob("replaced-*")
    assert (kept / "moodflix.sqlite3").read_bytes() == damaged
    assert (kept / "moodflix.sqlite3-wal").exists()


def test_an_older_backup_says_how_to_upgrade(
    run: Callable[..., Result], instance: Path, archive: Path
) -> None:
    with closing(sqlite3.connect(instance / "moodflix.sqlite3")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0007'")
    assert run("backup", archive).exit_code == 0
    done = run("restore", archive)
    assert done.exit_code == 0, done.output
    assert done.output.endswith("run: flask db upgrade\n")


def rewritten(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def add(name: str) -> Callable[[Path], None]:
    return lambda path: rewritten(path, lambda members: members.update({name: b"evil"}))


def put(sql: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        file = path.with_suffix(".changed")
        with ZipFile(path) as archive:
            file.write_bytes(archive.read("moodflix.sqlite3"))
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(sql)
        rewritten(path, lambda members: members.update({"moodflix.sqlite3": file.read_bytes()}))

    return change


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def zero_a_page(path: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        content = members["moodflix.sqlite3"]
        members["moodflix.sqlite3"] = content[:8192] + bytes(4096) + content[12288:]

    rewritten(path, change)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "no backup of a station"),
    "no archive": (lambda path: path.write_text("timestamp,city"), "no backup of a station"),
    "truncated": (truncate, "no backup of a station"),
    "flipped bits": (flip, "no backup of a station"),
    "parent folder": (add("../evil.npz"), "it holds other files"),
    "parent of models": (add("models/../../evil.npz"), "it holds other files"),
    "absolute": (add("/tmp/evil.npz"), "it holds other files"),
    "foreign file": (add("wsgi.py"), "it holds other files"),
    "no database": (
        lambda path: rewritten(path, lambda members: members.pop("moodflix.sqlite3")),
        "no backup of a station",
    ),
    "a damaged database": (zero_a_page, "the database file is damaged"),
    "a foreign database": (put("DROP TABLE alembic_version"), "is not a station's"),
    "a newer database": (put("UPDATE alembic_version SET version_num = '9999'"), "doesn't know"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_whole_backup_changes_nothing(
    run: Callable[..., Result], instance: Path, archive: Path, tmp_path: Path, fault: str
) -> None:
    add_models(instance)
    assert run("backup", archive).exit_code == 0
    damage, reason = FAULTS[fault]
    damage(archive)
    before = files(tmp_path)
    require_line(run("restore", archive), reason)
    assert files(tmp_path) == before


def test_a_backup_that_fails_says_why_and_leaves_nothing(
    run: Callable[..., Result],
    make_app: MakeApp,
    instance: Path,
    archive: Path,
    tmp_path: Path,
) -> None:
    require_line(run("backup", tmp_path / "nowhere" / "station.zip"), "No such file")
    content = (instance / "moodflix.sqlite3").read_bytes()
    require_line(run("backup", instance / "moodflix.sqlite3"), "exists and is no backup")
    assert (instance / "moodflix.sqlite3").read_bytes() == content
    other = make_app()
    other.extensions["moodflix.db"].path = None  # as with PostgreSQL, whose driver isn't here
    done = other.test_cli_runner().invoke(args=["backup", str(archive)])
    require_line(done, "only a SQLite file")
    shutil.move(instance / "moodflix.sqlite3", tmp_path / "away")
    before = set(tmp_path.rglob("*"))
    require_line(run("backup", archive), "there is no database yet")
    assert set(tmp_path.rglob("*")) == before
