"""An index that holds in which circumstances a film was chosen."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_logs_film_key_mood", "logs", ["film_key", "mood", "weather_desc", "weekday"]
    )
    op.drop_index("ix_logs_film_key", "logs")


def downgrade() -> None:
    """Take back."""
    op.create_index("ix_logs_film_key", "logs", ["film_key"])
    op.drop_index("ix_logs_film_key_mood", "logs")
