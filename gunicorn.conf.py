"""gunicorn reads this file in its working folder; the settings live in the package."""

from moodflix.serving import *  # noqa: F403 - gunicorn takes every name of this module
