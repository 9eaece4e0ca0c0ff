"""One row per film, and a table of film names; choices, picks and verdicts refer to films.

The references are empty: ``moodflix.store.migration`` fills them after importing the shipped films.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from moodflix.films import titles

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BATCH = 2_000
_REFERRING = ("logs", "answer_picks", "feedback")


def upgrade() -> None:
    """Apply."""
    op.execute("CREATE TEMPORARY TABLE old_films AS SELECT key, title, year FROM films ORDER BY id")
    op.drop_table("films")
    films = op.create_table(
        "films",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("renown", sa.Integer(), nullable=False),
        sa.Column("shipped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_films"),
        sa.UniqueConstraint("film_key", name="uq_films_film_key"),
    )
    op.create_index("ix_films_shipped", "films", ["shipped"])
    names = op.create_table(
        "film_names",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("film_id", sa.Integer(), nullable=False),
        sa.Column("spelling", sa.String(300), nullable=False),
        sa.Column("language", sa.String(2), nullable=True),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("head", sa.String(3), nullable=False),
        sa.Column("tail", sa.String(3), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["films.id"], name="fk_film_names_film_id"),
        sa.PrimaryKeyConstraint("id", name="pk_film_names"),
        sa.UniqueConstraint("key", "film_id", name="uq_film_names_key_film_id"),
    )
    op.create_index("ix_film_names_film_id", "film_names", ["film_id"])
    op.create_index("ix_film_names_head_year", "film_names", ["head", "year"])
    op.create_index("ix_film_names_tail_year", "film_names", ["tail", "year"])
    for table in _REFERRING:
        # Not Alembic's add_column, which copies a SQLite table to add a constraint.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN film_id INTEGER "
            f"CONSTRAINT fk_{table}_film_id REFERENCES films (id)"
        )
    if not context.is_offline_mode():
        _carry_over(films, names)
    op.execute("DROP TABLE old_films")


def _carry_over(films: sa.Table, names: sa.Table) -> None:
    old = sa.table("old_films", sa.column("key"), sa.column("title"), sa.column("year"))
    of_key = films.c.film_key == sa.bindparam("of_film", type_=sa.String)
    columns = ("film_key", "title", "year", "renown", "shipped")
    film = sa.select(*(sa.bindparam(name, type_=films.c[name].type) for name in columns))
    new_film = sa.insert(films).from_select(
        columns, film.where(~sa.exists(sa.select(films.c.id).where(of_key)))
    )
    film_id = sa.select(films.c.id).where(of_key).scalar_subquery()
    new_name = sa.insert(names).values(film_id=film_id)
    connection = op.get_bind()
    for batch in connection.execute(sa.select(old)).partitions(_BATCH):
        keys = [titles.film_key(row.title, row.year) for row in batch]
        of_film = [{"of_film": key, "year": row.year} for key, row in zip(keys, batch, strict=True)]
        values = {"renown": 0, "shipped": False}
        connection.execute(
            new_film,
            [
                {"film_key": each["of_film"], "title": row.title, **each, **values}
                for each, row in zip(of_film, batch, strict=True)
            ],
        )
        connection.execute(
            new_name,
            [
                {
                    # Of further names only the key was kept.
                    "spelling": row.title if titles.key(row.title) == row.key else row.key,
                    "key": row.key,
                    "head": row.key[:3],
                    "tail": row.key[-3:],
                    **each,
                }
                for each, row in zip(of_film, batch, strict=True)
            ],
        )


def downgrade() -> None:
    """Take back: a film is known by the spelling key of its title, as before."""
    connection = op.get_bind()
    for table in _REFERRING:
        keys = connection.execute(sa.text(f"SELECT DISTINCT film_key FROM {table}")).scalars()  # noqa: S608
        undated = [{"old": key, "new": titles.key(key)} for key in keys if titles.key(key) != key]
        # One by one: two films of a visitor may become one.
        for change in undated:
            if table == "feedback":
                visitors = "SELECT visitor FROM feedback WHERE film_key = :old"
                other = f"DELETE FROM feedback WHERE film_key = :new AND visitor IN ({visitors})"  # noqa: S608
                connection.execute(sa.text(other), change)
            spelled = f"UPDATE {table} SET film_key = :new WHERE film_key = :old"  # noqa: S608
            connection.execute(sa.text(spelled), change)
        # SQLite doesn't keep the name of a column's constraint.
        names = {"fk": "fk_%(table_name)s_%(column_0_name)s"}
        with op.batch_alter_table(table, naming_convention=names) as batch:
            batch.drop_constraint(f"fk_{table}_film_id", type_="foreignkey")
            batch.drop_column("film_id")
    op.execute(
        "CREATE TEMPORARY TABLE names AS SELECT key, title, films.year, shipped, head, tail "
        "FROM film_names JOIN films ON films.id = film_id "
        "WHERE film_names.id IN (SELECT min(id) FROM film_names GROUP BY key, year)"
    )
    op.drop_table("film_names")
    op.drop_table("films")
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
    op.execute("INSERT INTO films (key, title, year, bundled, head, tail) SELECT * FROM names")
    op.execute("DROP TABLE names")
