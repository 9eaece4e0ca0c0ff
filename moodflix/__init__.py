"""MoodFlix Station: asks how you feel, looks at the evening, says what to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from moodflix.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Wire the station together; nothing starts and nothing heavy is imported.

    Raises:
        ConfigError: a setting makes no sense.
    """
    # Imported here so that `import moodflix` costs nothing.
    from flask import Flask

    from moodflix import cli, config, db, web
    from moodflix.inference import Station
    from moodflix.recommend import llm
    from moodflix.recommend.catalogue import Catalogue
    from moodflix.recommend.context_model import ContextRecommender
    from moodflix.training import Trainer

    settings = settings or config.load()
    folder = None if settings.instance is None else str(settings.instance.resolve())
    app = Flask(__name__, instance_path=folder)
    app.extensions["moodflix.settings"] = settings
    database = db.init_app(app, settings)
    context = ContextRecommender()
    station = Station(database, Catalogue(), context, llm.build(settings), settings)
    app.extensions["moodflix.station"] = station
    app.extensions["moodflix.trainer"] = Trainer(
        settings, database, context, app.instance_path, station.relearn_weights
    )
    web.init_app(app)
    cli.init_app(app)
    return app
