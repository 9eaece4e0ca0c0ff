"""How Alembic runs: on the connection of ``moodflix.store.migration``, or as SQL of a dialect."""

from __future__ import annotations

from alembic import context

from moodflix.store.models import Base

context.configure(
    connection=context.config.attributes.get("connection"),
    dialect_name=context.config.attributes.get("dialect"),
    target_metadata=Base.metadata,
    # SQLite can't alter a table in place; batch mode copies it.
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
