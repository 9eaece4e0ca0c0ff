"""The made-up visitors that several tests look at: how many days, and until when."""

from datetime import datetime

DAYS = 35
# A Sunday night, when hardly anybody is still to come.
NOW = datetime(2026, 3, 1, 23, 0).astimezone()
