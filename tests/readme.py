"""What the README says, and what the code says it should."""

from __future__ import annotations

import re

import click
from flask import Flask

from moodflix.config import Settings, allowed, variable
from tests.server import ROOT

README = ROOT / "README.md"


def section(name: str) -> str:
    """The lines between `<!-- name -->` and `<!-- /name -->`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README.read_text(), re.DOTALL)
    assert found, name
    return found[1]


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
