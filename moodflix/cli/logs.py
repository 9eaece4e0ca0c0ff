"""``flask logs``: the documented CSV in and out."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

import click
from flask import current_app

from moodflix import log_csv
from moodflix.cli.common import (
    Group,
    bar,
    file_errors,
    migrated_database,
    spreadsheet_safe,
    with_progress,
    writable,
)
from moodflix.requests import LogRow
from moodflix.store import log_imports, logs

# Fewer rows need no progress bar.
_MANY_ROWS = 20_000
_SHOWN_REJECTS = 20
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LAST_MOMENT = datetime.max.replace(tzinfo=timezone.utc)


def _since(text: str) -> datetime:
    moment = logs.moment(text)
    if moment is None:
        raise click.BadParameter("write it as 2025-10-01 or 2025-10-01T18:30:00+09:00")
    return moment


def _until(text: str) -> datetime:
    moment = _since(text)
    if not _DATE.fullmatch(text.strip()):
        return moment
    return moment + min(timedelta(days=1), _LAST_MOMENT - moment)


def _encoding(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, UnicodeError) as error:
        raise click.BadParameter("no encoding of text, such as cp949 or utf-16") from error
    return name and codecs.lookup(name).name


group = Group("logs", help="Export and import the log of choices as CSV.")


@group.command("export")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, replaced only once the export is whole. Default: stdout.",
)
@click.option(
    "--since",
    type=_since,
    metavar="MOMENT",
    help="Only choices made at this moment or later (UTC).",
)
@click.option(
    "--until",
    type=_until,
    metavar="MOMENT",
    help="Only choices made before this moment; a date takes in the whole day.",
)
@click.option(
    "--header",
    type=click.Choice(list(log_csv.HEADERS)),
    default="documented",
    show_default=True,
    help="Names of the columns in the first line.",
)
@spreadsheet_safe
def export(
    output: Path | None,
    since: datetime | None,
    until: datetime | None,
    header: str,
    *,
    spreadsheet_safe: bool,
) -> None:
    """Write the log as the documented 12-column CSV."""
    with migrated_database().read() as session:
        total = logs.count(session, since, until)
        rows = logs.stream(session, since, until)
        progress = bar("Exporting", rows, total, hidden=total < _MANY_ROWS, steps=1_000)
        with writable(output) as out, progress as shown:
            log_csv.write(shown, out, log_csv.HEADERS[header], spreadsheet_safe=spreadsheet_safe)
    if output is not None:
        click.echo(f"Exported {total} rows to {output}.", err=True)


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the rows that can't be read. Default: FILE.rejects.",
)
@click.option(
    "--encoding",
    callback=_encoding,
    help="Encoding of the file, such as cp949. Default: UTF-8, or UTF-16 if it is that.",
)
@click.option("--dry-run", is_flag=True, help="Print what would happen and change nothing.")
def import_(
    file: Path | None, rejects: Path | None, encoding: str | None, *, dry_run: bool
) -> None:
    """Add the rows of a CSV that the log does not hold yet.

    FILE is the CSV of this station or of the old server; without it MOODFLIX_CSV_FILE is read. Its
    columns may be in any order below a header, and separated by commas, semicolons or tabs. Exits
    with 1 when a row was rejected.
    """
    path = file or current_app.extensions["moodflix.settings"].csv_file
    rejects = rejects or path.with_name(path.name + ".rejects")
    database = migrated_database()
    with file_errors(f"{path} can't be read"):
        source = log_csv.open_csv(path)
    with (
        source,
        file_errors(f"{path} can't be imported"),
        database.read() as session,
        contextlib.ExitStack() as stack,
    ):
        if rejects.exists() and rejects.samefile(path):
            raise click.ClickException(f"{rejects} is the file to import; name another")
        reader = log_csv.Reader.of_file(source, encoding)
        rejected = _Rejects(None if dry_run else rejects, reader.layout.preamble)
        stack.callback(rejected.close)
        rows = rejected.without_rejects(with_progress(reader, source, path))
        merged = logs.merge(session, rows, datetime.now(timezone.utc))
        if dry_run:
            session.rollback()
        else:
            session.commit()
    would = "would be " if dry_run else ""
    click.echo(
        f"{merged.added} rows {would}added, {merged.existing} already held, "
        f"{rejected.count} rejected."
    )
    if merged.undated:
        click.echo(
            f"{merged.undated} rows have no readable time; dated at import (the first: "
            f"{merged.unreadable[:40]!r}; write times as 2025-10-01T18:30:00+09:00)",
            err=True,
        )
    if rejected.count:
        kept = "" if dry_run else f"; they are in {rejects}"
        raise click.ClickException(f"{rejected.count} rows can't be taken{kept}")


@group.command("undo-import")
def undo_import() -> None:
    """Take the last import back: delete the rows it added. Choices made since stay."""
    with migrated_database().write() as session:
        undone = log_imports.undo_last(session)
    if undone is None:
        raise click.ClickException("there is no import to take back")
    moment, count = undone
    click.echo(
        f"{count} rows of the import of {moment:%Y-%m-%d %H:%M} UTC deleted. "
        "The model forgets them when it is trained: flask model train"
    )


class _Rejects:
    """Reports rows that can't be read, and writes them to a file once there are any.

    The file begins with ``preamble``, so that its rows can be mended and imported.
    """

    def __init__(self, path: Path | None, preamble: str) -> None:
        self.count = 0
        self._preamble = preamble.encode()
        self._path = path
        self._file: BinaryIO | None = None
        self._line_ended = True

    def without_rejects(self, rows: Iterable[LogRow | log_csv.Reject]) -> Iterator[LogRow]:
        """Yield the valid rows; report and write the others."""
        for row in rows:
            if isinstance(row, log_csv.Reject):
                self._keep(row)
            else:
                yield row

    def _keep(self, reject: log_csv.Reject) -> None:
        if not reject.rest:
            self.count += 1
            if self.count <= _SHOWN_REJECTS:
                click.echo(f"line {reject.line}: {reject.reason}", err=True)
            elif self.count == _SHOWN_REJECTS + 1:
                click.echo("further rejected lines are only counted", err=True)
        if self._path is None:
            return
        with file_errors(f"{self._path} can't be written"):
            if self._file is None:
                self._file = self._path.open("wb")
                self._file.write(self._preamble)
            elif not reject.rest and not self._line_ended:
                self._file.write(b"\n")
            self._file.write(reject.raw)
        self._line_ended = reject.raw.endswith(b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
