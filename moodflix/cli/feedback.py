"""``flask feedback``: visitors' feedback on films."""

from __future__ import annotations

from pathlib import Path

import click

from moodflix import log_csv
from moodflix.cli.common import Group, migrated_database, spreadsheet_safe, writable
from moodflix.store import feedback

group = Group("feedback", help="Export visitors' feedback on films.")


@group.command("export")
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default=Path("-")
)
@spreadsheet_safe
def export(file: Path, *, spreadsheet_safe: bool) -> None:
    """Write visitors' feedback on films as CSV.

    FILE is replaced only once the export is whole; - (the default) is stdout.
    """
    output = None if str(file) == "-" else file
    with migrated_database().read() as session, writable(output) as out:
        rows = feedback.stream(session)
        total = log_csv.write(rows, out, feedback.COLUMNS, spreadsheet_safe=spreadsheet_safe)
    if output is not None:
        click.echo(f"Exported {total} verdicts to {output}.", err=True)
