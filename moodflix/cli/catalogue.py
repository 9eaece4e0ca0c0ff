"""``flask catalogue``: adds films for look-ups, and looks titles up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from moodflix.cli.common import Group, file_errors, migrated_database, with_progress
from moodflix.films import film_lists
from moodflix.store import film_links, films, sums

_SHOWN = 10

group = Group("catalogue", help="Add films for look-ups, or look a title up.")


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_(file: Path) -> None:
    """Add the films of a list, so that the station knows titles that the LLM names.

    FILE is movies.csv of MovieLens, title.basics.tsv (or .gz) of IMDb, or any CSV with title and
    year. They serve look-ups; the station ranks only the films that it ships with.
    """
    database = migrated_database()
    skipped: Counter[str] = Counter()
    with (
        file_errors(f"{file} can't be read"),
        file.open("rb") as source,
        database.read() as session,
    ):
        rows = with_progress(film_lists.read(source), source, file)
        merged = films.merge(session, _listed(rows, skipped))
        if film_links.link(session):
            sums.rebuild(session)
        session.commit()
    click.echo(
        f"{merged.added} films added under {merged.added + merged.names} names, "
        f"{merged.existing} already held, {skipped.total()} rows skipped."
    )
    for reason, count in skipped.most_common():
        click.echo(f"skipped {count}: {reason}")


@group.command()
@click.argument("title")
def search(title: str) -> None:
    """Show the films of a title, or of one spelled like it.

    TITLE may end in a year: "The Matrix (1999)". Exits with 1 when there is none.
    """
    with migrated_database().read() as session:
        found = films.search(session, title, _SHOWN)
    if not found:
        raise click.ClickException("no film goes by that title or one spelled like it")
    for film in found:
        use = "ranked" if film.shipped else "for look-ups"
        click.echo(f"{film.title} ({film.year}), {use}")


def _listed(rows: Iterator[film_lists.Row], skipped: Counter[str]) -> Iterator[film_lists.Listed]:
    for row in rows:
        if isinstance(row, str):
            skipped[row] += 1
        else:
            yield row
