"""What the README and docs/ state, and what the code says they should."""

from __future__ import annotations

import re

import click
from flask import Flask

from moodflix.config import Settings, allowed, variable
from tests.server import ROOT

README = ROOT / "README.md"
DOCUMENTS = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))


def section(page: str, name: str) -> str:
    """The lines of a page of docs/ between `<!-- name -->` and `<!-- /name -->`."""
    text = (ROOT / "docs" / page).read_text()
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found, name
    return found[1]


def cells(page: str, name: str, column: int) -> list[str]:
    """One column of a section that is a table, from 0."""
    return [row.split(" | ")[column].strip("| ") for row in section(page, name).splitlines()]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]*)`", text)


def tour() -> list[str]:
    return re.findall(r"^```bash tour\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def settings_table() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = int(default) if isinstance(default, bool) else default
        text = "" if default is None else f"`{shown}`"
        rows.append(f"| `{variable(name)}` | {text} | {allowed(field)} | {field.description} |\n")
    return "".join(rows)


def commands_table(app: Flask) -> str:
    rows = []
    for group in sorted(app.cli.commands.values(), key=lambda each: each.name or ""):
        inside = group.commands if isinstance(group, click.Group) else {"": group}
        for name, command in inside.items():
            help_text = (command.help or "").partition("\n\n")[0].replace("\n", " ")
            full = f"flask {group.name} {name}".strip()
            rows.append(f"| `{full}` | {help_text} |\n")
    return "".join(rows)
