"""What gunicorn and ``flask`` serve from a checkout."""

import sys

from moodflix import create_app
from moodflix.errors import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"moodflix: {error}")
