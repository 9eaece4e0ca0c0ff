# ruff: noqa: S608 - the SQL is put together from constants of this file
"""Sums for the dashboard, kept by triggers; which answer put a reading right; trainings.

Whoever adds or deletes logs, answers or picks keeps the sums true in the same transaction. Rows
are never updated, so no trigger watches that.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_THIRDS = tuple(f"to_{third:02}" for third in range(1, 37))
_TALLY = ("measure", "a", "b", "day")
_FILM = ("mood", "film_key", "year")
_MACHINE = "r.mood_source NOT IN ('hand', 'none')"


def _local(moment: str) -> str:
    """Return the SQL of a moment by the station's clock; the year 9999 may end in no zone."""
    # Fractions would be rounded, some into the next day.
    whole = f"substr({moment}, 1, 19)"
    return f"coalesce(datetime({whole}, 'localtime'), {whole})"


def _day(moment: str) -> str:
    return f"substr({_local(moment)}, 1, 10)"


def _ranked(pick: str) -> str:
    """Return the SQL of who ranked a film of an answer: the recommenders and the whole list."""
    return f"json_each(json_set({pick}.sources, '$.list', {pick}.position)) AS s"


def _logged(row: str, source: str = "") -> Sequence[str]:
    # SQLite works a subquery with LIMIT out once, not for each use.
    at = f"(SELECT {row}.mood AS mood, {_local(f'{row}.event_at')} AS at {source} LIMIT -1)"
    slot = "(strftime('%w', at) + 6) % 7 * 24 + substr(at, 12, 2)"
    return (
        f"SELECT 'choices', '', '', substr(at, 1, 10) FROM {at}",
        f"SELECT 'hours', mood, {slot}, substr(at, 1, 10) FROM {at}",
    )


def _answered(row: str, source: str = "") -> Sequence[str]:
    day, ms = _day(f"{row}.answered_at"), f"CAST({row}.seconds * 1000 AS INTEGER)"
    # No step is over a tenth: close enough for a median, and few enough to add up.
    step = "CASE " + "".join(
        f"WHEN ms < {under * 10**power} THEN {width * 10**power} "
        for power in range(5)
        for under, width in ((20, 1), (50, 2), (100, 5))
    )
    step += "ELSE 100000 END"
    timed = f"SELECT {ms} AS ms, {day} AS day {source}"
    return (
        f"SELECT 'llm', {row}.llm_status, '', {day} {source}",
        f"SELECT 'seconds', ms / ({step}) * ({step}), '', day FROM ({timed})",
    )


def _read(which: str) -> str:
    """A mood the machine read, and what was last said of it by hand, if anything was."""
    return f"""SELECT 'readings', coalesce(json_extract(r.context, '$.mood'), ''), coalesce(
        (SELECT json_extract(c.context, '$.mood') FROM answers AS c WHERE c.corrects = r.id
        ORDER BY c.answered_at DESC, c.id DESC LIMIT 1), json_extract(r.context, '$.mood'), ''),
        {_day("r.answered_at")} FROM answers AS r WHERE {_MACHINE} AND {which}"""


def _offered(pick: str, others: str = "<>", source: str = "") -> str:
    """Who had a say in an answer, by a pick that is the only one to say so (or the first)."""
    return f"""SELECT 'offered', s.key, '', {_day("a.answered_at")}
        FROM {source} answers AS a, {_ranked(pick)}
        WHERE a.id = {pick}.answer_id AND s.type = 'integer'
        AND NOT EXISTS (SELECT 1 FROM answer_picks AS o WHERE o.answer_id = {pick}.answer_id
        AND o.position {others} {pick}.position
        AND (s.key = 'list' OR json_type(o.sources, s.fullkey) = 'integer'))"""


def _chosen(which: str) -> str:
    """At which rank who had a film that was chosen."""
    return f"""SELECT 'origins', s.key, min(11, s.value), {_day("l.event_at")}
        FROM logs AS l JOIN answer_picks AS p
        ON p.answer_id = l.answer_id AND p.film_key = l.film_key, {_ranked("p")}
        WHERE s.type = 'integer' AND {which}"""


def _accepted(which: str) -> str:
    """The best rank at which who had a film that was chosen from an answer."""
    # CROSS: by the answer's choices, which are few, never by all choices of a film.
    return f"""SELECT 'accepted', s.key, min(11, min(s.value)), {_day("a.answered_at")}
        FROM answers AS a CROSS JOIN logs AS l ON l.answer_id = a.id CROSS JOIN answer_picks AS p
        ON p.answer_id = a.id AND p.film_key = l.film_key, {_ranked("p")}
        WHERE s.type = 'integer' AND {which} GROUP BY a.id, s.key"""


def _tally(sign: str, *selects: str) -> str:
    names = ", ".join(_TALLY)
    return "".join(
        f"INSERT INTO tallies ({names}, n) SELECT *, {sign}1 FROM ({select}) WHERE true "
        f"ON CONFLICT ({names}) DO UPDATE SET n = n + excluded.n;\n"
        for select in selects
    )


def _tally_film(sign: str, row: str) -> str:
    upto = ", ".join(f"{sign}(third <= {at})" for at in range(1, 37))
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in _THIRDS)
    return (
        f"INSERT INTO film_tallies ({', '.join((*_FILM, *_THIRDS))}) "
        f"SELECT {', '.join(_FILM)}, {upto} FROM ({_third(row)}) WHERE true "
        f"ON CONFLICT ({', '.join(_FILM)}) DO UPDATE SET {added};\n"
    )


def _third(row: str, source: str = "") -> str:
    """Return the SQL of the year and the third of a month in which a film was chosen."""
    third = "3 * substr(at, 6, 2) - 2 + (substr(at, 9, 2) > '10') + (substr(at, 9, 2) > '20')"
    return f"""SELECT mood, film_key, CAST(substr(at, 1, 4) AS INTEGER) AS year, {third} AS third
        FROM (SELECT {row}.mood AS mood, {row}.film_key AS film_key,
        {_local(f"{row}.event_at")} AS at {source} LIMIT -1) LIMIT -1"""


def _own(table: str, row: str, sign: str) -> str:
    """Return the SQL that counts what a row says by itself."""
    if table == "logs":
        return _tally(sign, *_logged(row)) + _tally_film(sign, row)
    return _tally(sign, *(_answered(row) if table == "answers" else (_offered(row),)))


def _joint(table: str, row: str) -> tuple[str, Sequence[str]]:
    """Return when a row matters to what rows say together, and the SQL of what that is."""
    if table == "answers":
        return "true", (_read(f"r.id IN ({row}.id, {row}.corrects)"),)
    accepted = _accepted(f"a.id = {row}.answer_id")
    if table == "logs":
        return f"{row}.answer_id IS NOT NULL", (accepted, _chosen(f"l.id = {row}.id"))
    pick = f"p.answer_id = {row}.answer_id AND p.position = {row}.position"
    linked = f"EXISTS (SELECT 1 FROM logs WHERE answer_id = {row}.answer_id)"
    return linked, (accepted, _chosen(pick))


def _triggers() -> dict[str, str]:
    """Return what follows CREATE TRIGGER, by name."""
    made = {}
    for table in ("logs", "answers", "answer_picks"):
        for event, row, sign in (("INSERT", "NEW", "+"), ("DELETE", "OLD", "-")):
            matters, joint = _joint(table, row)
            # What a row changes is taken out as it was before, and put in as it is after.
            for name, moment, when, body in (
                ("own", "AFTER", "true", _own(table, row, sign)),
                ("before", "BEFORE", matters, _tally("-", *joint)),
                ("after", "AFTER", matters, _tally("+", *joint)),
            ):
                made[f"{table}_{event.lower()}_{name}"] = (
                    f"{moment} {event} ON {table} WHEN {when} BEGIN\n{body}END"
                )
    return made


def upgrade() -> None:
    """Apply."""
    # In place: a copy of the table would break what refers to it.
    op.execute(
        "ALTER TABLE answers ADD COLUMN corrects VARCHAR(32) "
        "CONSTRAINT fk_answers_corrects REFERENCES answers (id)"
    )
    there = sa.text("corrects IS NOT NULL")
    op.create_index("ix_answers_corrects", "answers", ["corrects"], sqlite_where=there)
    op.drop_index("ix_logs_event_at", "logs")
    op.create_index("ix_logs_event_at", "logs", ["event_at", "mood", "film_key"])
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
    op.create_table(
        "tallies",
        sa.Column("measure", sa.String(20), nullable=False),
        sa.Column("a", sa.String(200), nullable=False),
        sa.Column("b", sa.String(200), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(*_TALLY, name="pk_tallies"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "film_tallies",
        sa.Column("mood", sa.String(200), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _THIRDS),
        sa.PrimaryKeyConstraint(*_FILM, name="pk_film_tallies"),
        sqlite_with_rowid=False,
    )
    _fill()
    for name, trigger in _triggers().items():
        op.execute(f"CREATE TRIGGER {name} {trigger}")


def _fill() -> None:
    """Count what is there."""
    names = ", ".join(_TALLY)
    for select in (
        *_logged("logs", "FROM logs"),
        *_answered("answers", "FROM answers"),
        _offered("p", others="<", source="answer_picks AS p CROSS JOIN"),
        _read("true"),
        _chosen("true"),
        _accepted("true"),
    ):
        # The columns go by their places: not all have names.
        op.execute(
            f"INSERT INTO tallies ({names}, n) SELECT *, count(*) FROM ({select}) "
            "GROUP BY 1, 2, 3, 4"
        )
    upto = ", ".join(f"sum(third <= {at})" for at in range(1, 37))
    op.execute(
        f"INSERT INTO film_tallies ({', '.join((*_FILM, *_THIRDS))}) "
        f"SELECT {', '.join(_FILM)}, {upto} FROM ({_third('logs', 'FROM logs')}) GROUP BY 1, 2, 3"
    )


def downgrade() -> None:
    """Take back."""
    for name in _triggers():
        op.execute(f"DROP TRIGGER {name}")
    for table in ("film_tallies", "tallies", "trainings"):
        op.drop_table(table)
    op.drop_index("ix_logs_event_at", "logs")
    op.create_index("ix_logs_event_at", "logs", ["event_at"])
    op.drop_index("ix_answers_corrects", "answers")
    op.execute("ALTER TABLE answers DROP COLUMN corrects")
