"""Writes files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` only once it is complete and on the disk.

    Anything but a regular file (``/dev/null``, a pipe) is written directly. A ``private`` file is
    its owner's alone.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    handle, is_named = _new_file(temporary, 0o600 if private else 0o666)
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out
            out.flush()
            os.fsync(handle)
            if not is_named:
                # Without a src_dir_fd the link in /proc would be linked, not what it leads to.
                os.link(f"/proc/self/fd/{handle}", temporary, src_dir_fd=handle)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _new_file(path: Path, mode: int) -> tuple[int, bool]:
    """Open a new file; whether it has a name yet: nothing is left of one that has none."""
    with suppress(OSError, AttributeError):
        return os.open(path.parent, os.O_TMPFILE | os.O_RDWR, mode), False
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode), True


def sync_folder(folder: Path) -> None:
    """Wait until the names of a folder's files are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
