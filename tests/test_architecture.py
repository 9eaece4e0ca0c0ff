"""Which room of the package stands above which; docs/architecture.md draws it."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT

# From the ground up, a floor a line. A room is a module, or a folder with all in it that has no
# line of its own. It imports only from rooms below it; inside a room imports form no circle.
FLOORS = """
data
vocabulary errors clock address instance framing atomic spreadsheet_days
config strict_json connections
films
requests
store perception csv_layout
log_csv recommend.query
recommend.answer
recommend.fusion recommend.catalogue recommend.learned recommend.llm
recommend learning
station
simulation
doctor demo backup
web.exchange web.rendering cli.common
web.auth web.errors web.health web.inference web.limits web.pages
web.dashboard cli.backup cli.catalogue cli.database cli.demo cli.doctor cli.feedback cli.logs \
    cli.model cli.recommend cli.stats
web cli
__init__
serving
"""
# Who may import a library; all others go through these.
OWNERS = {
    "flask": "web cli store.database instance serving __init__",
    "itsdangerous": "web",
    "limits": "web.limits",
    "ollama": "recommend.llm",
    "httpx": "recommend.llm",
    "sklearn": "recommend.catalogue.space recommend.learned.model recommend.learned.encoding "
    "recommend.learned.estimator",
    "scipy": "recommend.catalogue.space recommend.learned.counts recommend.learned.likelihood "
    "recommend.learned.stored",
    "sqlalchemy": "store",
    "alembic": "store.migration",
    "click": "cli",
    "rapidfuzz": "films.fuzzy",
    "PIL": "perception.face",
    "av": "perception.audio",
    "benchmarks": "",
}
PACKAGE = ROOT / "moodflix"
FLOOR = {room: floor for floor, line in enumerate(FLOORS.split("\n")) for room in line.split()}


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file; the package itself is `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            own = [each for each in members if each.removeprefix("moodflix.") in MODULES]
            yield from own
            if len(own) < len(members):
                yield node.module


def own_imports(name: str) -> set[str]:
    """The modules of the package that one of them imports."""
    dotted = (each.removeprefix("moodflix.") for each in imported(MODULES[name]))
    return {each for each in dotted if each in MODULES} - {name}


def room(name: str) -> str:
    """The room that a module is in: itself, or the nearest folder that has a floor."""
    while name not in FLOOR:
        name, dot, _ = name.rpartition(".")
        assert dot, f"{name} stands on no floor"
    return name


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_only_from_rooms_below(name: str) -> None:
    above = {
        each
        for each in own_imports(name)
        if room(each) != room(name) and FLOOR[room(each)] >= FLOOR[room(name)]
    }
    assert not above


def test_no_imports_form_a_circle() -> None:
    graph = {name: own_imports(name) for name in MODULES}
    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", MODULES)
def test_it_leaves_each_library_to_its_owner(name: str) -> None:
    used = {each.partition(".")[0] for each in imported(MODULES[name])} & OWNERS.keys()
    foreign = {
        library
        for library in used
        if not any(f"{name}.".startswith(f"{owner}.") for owner in OWNERS[library].split())
    }
    assert not foreign


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("from moodflix import address", ("flask", "sqlalchemy", "pydantic", "dotenv")),
        ("import moodflix", ("flask", "sqlalchemy", "pydantic", "ollama", "sklearn")),
        ("import wsgi", ("sklearn", "numpy", "scipy")),
        ("from moodflix.store import migration", ("sklearn", "numpy", "ollama")),
    ],
)
def test_it_leaves_heavy_libraries_alone(command: str, unwanted: tuple[str, ...]) -> None:
    script = f"import sys; {command}; print(*(sys.modules.keys() & set({unwanted!r})))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_one_module_spells_the_paths_of_the_instance_folder() -> None:
    spelled = re.compile(
        r"""\.instance_path|["'}]/?(moodflix\.sqlite3|demo\.sqlite3|dashboard\.key)|/\s*f?["']?models\b"""
    )
    found = [name for name in MODULES if spelled.search(MODULES[name].read_text(encoding="utf-8"))]
    assert found == ["instance"]


def test_it_keeps_files_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("moodflix", "migrations", "tests", "samples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}
