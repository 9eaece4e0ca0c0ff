"""The tables as they were at revision 0007, for a fresh database; 0001 to 0007 in one.

A database that is at 0007 already has the dashboard's sums and their triggers besides, which 0008
replaces.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
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
        sa.Column("llm_numbers", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("corrects", sa.String(32), nullable=True),
        sa.ForeignKeyConstraint(["corrects"], ["answers.id"], name="fk_answers_corrects"),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
    )
    op.create_index("ix_answers_answered_at", "answers", ["answered_at"])
    known = sa.text("corrects IS NOT NULL")
    op.create_index(
        "ix_answers_corrects", "answers", ["corrects"], sqlite_where=known, postgresql_where=known
    )
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
        sa.Column("head", sa.String(3), nullable=False),
        sa.Column("tail", sa.String(3), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_films"),
        sa.UniqueConstraint("key", "year", name="uq_films_key_year"),
    )
    op.create_index("ix_films_bundled", "films", ["bundled"])
    op.create_index("ix_films_head_year", "films", ["head", "year"])
    op.create_index("ix_films_tail_year", "films", ["tail", "year"])
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
    op.create_index("ix_logs_answer_id", "logs", ["answer_id"])
    op.create_index("ix_logs_event_at", "logs", ["event_at", "mood", "film_key"])
    op.create_index(
        "ix_logs_film_key_mood", "logs", ["film_key", "mood", "weather_desc", "weekday"]
    )
    op.create_table(
        "feedback",
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("answer_id", sa.String(32), nullable=True),
        sa.Column("said_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name="fk_feedback_answer_id"),
        sa.PrimaryKeyConstraint("visitor", "film_key", name="pk_feedback"),
    )
    op.create_table(
        "trainings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("held_out", sa.Integer(), nullable=True),
        sa.Column("hit10", sa.Double(), nullable=True),
        sa.Column("popularity_hit10", sa.Double(), nullable=True),
        sa.Column("worse", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trainings"),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("trainings", "feedback", "logs", "films", "answer_picks", "answers"):
        op.drop_table(table)
