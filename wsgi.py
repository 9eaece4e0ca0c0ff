"""What ``flask`` and ``gunicorn wsgi:app`` serve from a checkout."""

from moodflix.serving import create_app

app = create_app()
