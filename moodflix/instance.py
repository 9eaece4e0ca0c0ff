"""Where a station keeps what it writes: every path of its instance folder."""

from __future__ import annotations

from dataclasses import dataclass
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


def of(app: Flask) -> Instance:
    """Return the instance folder of an app."""
    return Instance(Path(app.instance_path))
