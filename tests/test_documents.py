from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from pydantic import AliasChoices

from moodflix.requests import InferenceRequest
from moodflix.store import stats
from tests import documents
from tests.server import ROOT


def test_every_setting_is_listed() -> None:
    assert documents.section("settings.md", "settings") == documents.settings_table()


def test_every_command_is_listed(app: Flask) -> None:
    assert documents.section("settings.md", "commands") == documents.commands_table(app)


def test_every_endpoint_is_listed(app: Flask) -> None:
    served = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) & {"GET", "POST"}
    }
    listed = set()
    for cell in documents.cells("http.md", "endpoints", 0):
        method, _, path = documents.quoted(cell)[0].partition(" ")
        for other in (path, *documents.quoted(cell)[1:]):
            full = other if other.startswith("/") else f"{path.rpartition('/')[0]}/{other}"
            listed.add(f"{method} {full.partition('?')[0].replace('/T', '/<name>')}")
    assert listed == served


def test_every_field_of_a_question_is_listed() -> None:
    fields: list[str] = []
    for name, field in InferenceRequest.model_fields.items():
        alias = field.validation_alias
        fields += (
            map(str, alias.choices) if isinstance(alias, AliasChoices) else [field.alias or name]
        )
    cells = documents.cells("http.md", "fields", 0)
    assert sorted(name for cell in cells for name in documents.quoted(cell)) == sorted(fields)


def test_every_table_of_the_dashboard_is_listed() -> None:
    row = next(
        line for line in documents.section("http.md", "endpoints").splitlines() if "/T`" in line
    )
    assert set(documents.quoted(row)) >= set(stats.TABLES)


def test_every_reason_for_no_reading_is_listed() -> None:
    code = "".join(path.read_text() for path in (ROOT / "moodflix/perception").glob("*.py"))
    for reasons in documents.cells("privacy.md", "signals", 2):
        for reason in documents.quoted(reasons):
            assert f'"{reason}"' in code, reason


def test_every_benchmark_quoted_is_there() -> None:
    text = (ROOT / "docs/figures.md").read_text()
    quoted = re.findall(r"^\| `(\w+)` \||-m benchmarks\.([a-z_]+)", text, re.MULTILINE)
    assert quoted
    for name in map("".join, quoted):
        assert (ROOT / f"benchmarks/{name}.py").exists(), name


@pytest.mark.parametrize("page", documents.DOCUMENTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_is_read_in_one_go() -> None:
    assert len(documents.README.read_text().splitlines()) <= 200
