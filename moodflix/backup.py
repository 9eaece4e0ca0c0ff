"""One archive of all that a station keeps: its database, its models and the dashboard's key."""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo, is_zipfile

from moodflix import atomic
from moodflix.errors import ConfigError, MoodflixError
from moodflix.instance import Instance
from moodflix.learning.files import ModelStore
from moodflix.store import migration, snapshot
from moodflix.store.database import Database

Progress = Callable[[float], object]
# Members are named as in an instance folder; no other name is taken.
_LAYOUT: Final = Instance(Path())
_DATABASE: Final = str(_LAYOUT.database)
_MEMBER: Final = re.compile(
    rf"{re.escape(_DATABASE)}|{re.escape(str(_LAYOUT.dashboard_key))}|"
    rf"{_LAYOUT.models}/([0-9]+\.npz|current)"
)
_PIECE: Final = 1 << 20
_DAMAGE: Final = (BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


class BackupError(MoodflixError):
    """A backup can't be made or restored; the text says why."""


@dataclass(frozen=True)
class Restored:
    """What a restore did: where it put what was there before, and if that must be upgraded."""

    kept: Path | None
    is_newest: bool


def make(database: Database, instance: Instance, file: Path, progress: Progress) -> None:
    """Write the archive, which is there once all of it was checked; others may write meanwhile.

    Raises:
        DatabaseUnavailableError: the database can't be copied, or is damaged.
        ConfigError: it isn't SQLite's.
        BackupError: the file is there and no archive, or what was written can't be read back.
        OSError: a file can't be read or written.
    """
    _path_of(database)
    if file.exists() and file.stat().st_size and not is_zipfile(file):
        raise BackupError(f"{file} exists and is no backup; name another file")
    prefix = f".{file.name}."
    with tempfile.TemporaryDirectory(prefix=prefix, dir=file.resolve().parent) as folder:
        copied = Instance(Path(folder))
        snapshot.copy(database, copied.database, lambda share: progress(share / 2))
        if instance.dashboard_key.exists():
            shutil.copyfile(instance.dashboard_key, copied.dashboard_key)
        ModelStore(instance.models).copy_to(copied.models)
        with atomic.replacing(file, private=True) as out:
            with ZipFile(out, "w", ZIP_DEFLATED, compresslevel=1) as archive:
                _pack(copied.folder, archive, lambda share: progress((1 + share) / 2))
            with _reading(file), ZipFile(out) as archive:
                if archive.testzip() is not None:
                    raise BackupError(f"{file} can't be read back; is the disk well?")


def restore(
    database: Database, instance: Instance, file: Path, now: datetime, progress: Progress
) -> Restored:
    """Put what an archive holds in place of what is there, which is kept in a folder of its own.

    Raises:
        ConfigError: the present database isn't SQLite's.
        BackupError: it is no backup, or the station runs; nothing is changed then.
        DatabaseUnavailableError: its database is damaged, or the present one is open elsewhere.
        SchemaError: this version of the station can't read its database.
        OSError: a file can't be read or written.
    """
    target = _path_of(database)
    instance.folder.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = instance.lock(alone=True)
    if lock is None:
        raise BackupError("the station is running; stop it first")
    try:
        # Beside the database, to which it can be moved in one step.
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=target.parent) as folder:
            unpacked = Instance(Path(folder))
            _unpack(file, unpacked.folder, progress)
            is_newest = _check(unpacked)
            _own_as(instance.folder, unpacked.folder)
            if target.exists():
                snapshot.close_journal(target)
            return Restored(_swap(unpacked, instance, target, now), is_newest)
    finally:
        os.close(lock)


def _path_of(database: Database) -> Path:
    if database.path is None:
        raise ConfigError("only a SQLite file can be backed up and restored here")
    return database.path


def _pack(folder: Path, archive: ZipFile, progress: Progress) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done = sum(path.stat().st_size for path in files), 0
    for path in files:
        member = ZipInfo.from_file(path, path.relative_to(folder), strict_timestamps=False)
        member.compress_type = ZIP_DEFLATED
        with path.open("rb") as source, archive.open(member, "w") as packed:
            while piece := source.read(_PIECE):
                packed.write(piece)
                done += len(piece)
                progress(done / total)


def _unpack(file: Path, folder: Path, progress: Progress) -> None:
    """Unpack an archive into files that only their owner may read.

    Raises:
        BackupError: it is damaged, or holds anything that isn't a station's.
    """
    with _reading(file), ZipFile(file) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if _DATABASE not in names or len({*names}) < len(names):
            raise BackupError(f"{file} is no backup of a station")
        if not all(_MEMBER.fullmatch(name) for name in names):
            raise BackupError(f"{file} is no backup of a station: it holds other files")
        total, done = sum(member.file_size for member in members), 0
        for member in members:
            path = folder / member.filename
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as out, archive.open(member) as packed:
                while piece := packed.read(_PIECE):
                    out.write(piece)
                    done += len(piece)
                    progress(done / max(total, 1))
                out.flush()
                os.fsync(out.fileno())


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise BackupError(f"{file} is damaged, or no backup of a station") from error


def _check(unpacked: Instance) -> bool:
    """Check an unpacked database; return whether it is at the newest migration."""
    snapshot.require_intact(unpacked.database)
    database = Database(f"sqlite:///{unpacked.database}")
    try:
        current, newest = migration.state(database)
    finally:
        database.close()
    if current is None:
        raise BackupError("the database in the backup is not a station's")
    return current == newest


def _own_as(owner: Path, folder: Path) -> None:
    """Give all in a folder to the owner of another: the station need not run as root."""
    if os.geteuid() == 0:
        found = owner.stat()
        for path in folder.rglob("*"):
            os.chown(path, found.st_uid, found.st_gid)


def _swap(unpacked: Instance, instance: Instance, target: Path, now: datetime) -> Path | None:
    """Move what was unpacked into place; return where what was there before is kept.

    A process that is killed meanwhile leaves the old database or the new one, never none.
    """
    journals = [target.with_name(target.name + end) for end in ("-wal", "-shm")]
    present = [*journals, instance.models, instance.dashboard_key, target]
    kept = instance.replaced(now) if any(path.exists() for path in present) else None
    if kept:
        kept.mkdir(mode=0o700)
        for path in filter(Path.exists, present[:-1]):
            shutil.move(path, kept)
        if target.exists():
            try:
                os.link(target, kept / target.name)
            except OSError:
                shutil.copy2(target, kept)
    unpacked.database.replace(target)
    atomic.sync_folder(target.parent)
    for new, path in (
        (unpacked.models, instance.models),
        (unpacked.dashboard_key, instance.dashboard_key),
    ):
        if new.exists():
            shutil.move(new, path)
    atomic.sync_folder(instance.folder)
    return kept
