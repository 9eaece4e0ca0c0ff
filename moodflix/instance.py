"""Where a station keeps what it writes: every path of its instance folder."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Flask


@dataclass(frozen=True)
class Instance:
    """The instance folder; nothing in it need exist yet."""

    folder: Path

    @property
    def database(self) -> Path:
        """The station's own SQLite file, unless a setting names another database."""
        return self.folder / "moodflix.sqlite3"

    @property
    def sample(self) -> Path:
        """The SQLite file of the sample data; what belongs to it begins with its name."""
        return self.folder / "demo.sqlite3"

    @property
    def models(self) -> Path:
        """The folder of the learned models."""
        return self.folder / "models"

    @property
    def dashboard_key(self) -> Path:
        """The key that signs the dashboard's cookies."""
        return self.folder / "dashboard.key"

    def replaced(self, moment: datetime) -> Path:
        """Return the folder that keeps what a restore at that moment replaces."""
        return self.folder / f"replaced-{moment:%Y%m%dT%H%M%S.%f}"

    def lock(self, *, alone: bool) -> int | None:
        """Lock the folder, shared as each station does, or alone; ``None`` if others forbid it.

        The lock ends when the last process that has the open folder returned closes it or dies.

        Raises:
            OSError: the folder can't be opened.
        """
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


def of(app: Flask) -> Instance:
    """Return the instance folder of an app."""
    return Instance(Path(app.instance_path))
