"""Logs, films, answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXTS = (
    "client_sent_at",
    "city",
    "lat",
    "lon",
    "today_status",
    "tomorrow_status",
    "weekday",
    "weather_desc",
    "temperature",
    "mood",
    "tone",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("answered_at", sa.DateTime(), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.Column("mood_source", sa.String(200), nullable=False),
        sa.Column("tone_source", sa.String(200), nullable=False),
        sa.Column("llm_status", sa.String(200), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
    )
    op.create_index("ix_answers_answered_at", "answers", ["answered_at"])
    op.create_table(
        "answer_picks",
        sa.Column("answer_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name="fk_answer_picks_answer_id"),
        sa.PrimaryKeyConstraint("answer_id", "position", name="pk_answer_picks"),
    )
    op.create_table(
        "films",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("bundled", sa.Boolean(), nullable=False),
        sa.Column("countries", sa.JSON(), nullable=False),
        sa.Column("genres", sa.JSON(), nullable=False),
        sa.Column("moods", sa.JSON(), nullable=False),
        sa.Column("tone", sa.String(200), nullable=False),
        sa.Column("themes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_films"),
        sa.UniqueConstraint("key", "year", name="uq_films_key_year"),
    )
    op.create_index("ix_films_bundled", "films", ["bundled"])
    op.create_table(
        "logs",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(200), nullable=False) for name in _TEXTS),
        sa.Column("movie_title", sa.String(300), nullable=False),
        sa.Column("received_at", sa.DateTime(), nullable=False),
        sa.Column("event_at", sa.DateTime(), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("answer_id", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name="fk_logs_answer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_logs"),
    )
    for column in ("event_at", "film_key", "answer_id"):
        op.create_index(f"ix_logs_{column}", "logs", [column])


def downgrade() -> None:
    """Take back."""
    for table in ("logs", "films", "answer_picks", "answers"):
        op.drop_table(table)
