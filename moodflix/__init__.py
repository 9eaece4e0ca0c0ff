"""MoodFlix Station: asks how you feel, looks at the evening, says what to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from moodflix.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Create the app; no thread starts and no heavy library is imported.

    Raises:
        ConfigError: a setting makes no sense.
    """
    # Imported here to keep `import moodflix` cheap.
    from flask import Flask

    from moodflix import cli, config, instance, web
    from moodflix.learning.training import Trainer
    from moodflix.recommend.catalogue.ranker import Catalogue
    from moodflix.recommend.learned.model import LearnedRecommender
    from moodflix.recommend.llm import recommender as llm
    from moodflix.station import Station
    from moodflix.store.database import init_app as init_database

    settings = settings or config.load()
    folder = None if settings.instance is None else str(settings.instance.resolve())
    app = Flask(__name__, instance_path=folder)
    app.extensions["moodflix.settings"] = settings
    database = init_database(app, settings)
    learned = LearnedRecommender()
    station = Station(database, Catalogue(), learned, llm.build(settings), settings)
    app.extensions["moodflix.station"] = station
    app.extensions["moodflix.trainer"] = Trainer(
        settings, database, learned, instance.of(app), station.refit_weights
    )
    web.init_app(app)
    cli.init_app(app)
    return app
