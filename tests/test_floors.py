from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import ROOT

# A module imports only from floors below its own; a package's own __init__ may stand above what
# is in it.
FLOORS = {
    0: "config moods evening errors titles likeness strict_json bundled db recommend.counts "
    "recommend.likelihood perception.reading perception.blobs perception.clip perception.nets",
    1: "models model_store schemas recommend recommend.ranking recommend.traits recommend.weighing "
    "perception.words perception.face perception.voice",
    2: "logbook films answers feedback stats perception.apart recommend.policy "
    "recommend.wishes recommend.encoding recommend.estimator",
    3: "perception csvio catalogues recommend.catalogue recommend.context_model recommend.fusion "
    "recommend.reasons recommend.llm migrating",
    4: "given training evaluation",
    5: "inference doctor demo",
    6: "web cli",
    7: "__init__",
    8: "serving",
}
# Floors inside a package whose parts stand on one floor of the house.
INNER = {
    "recommend.llm": {
        0: "wire prompt reply complaints",
        1: "gate call",
        2: "examine",
        3: "__init__",
    },
    "web": {
        0: "envelope rendering requestlog",
        1: "errors inference feedback keeper logs health pages",
        2: "dashboard",
        3: "__init__",
    },
    "cli": {
        0: "common",
        1: "catalogue database demo doctor feedback logs model recommend",
        2: "__init__",
    },
}
# Inside floor 0 these come first.
GROUND = {
    "errors": 0,
    "moods": 0,
    "evening": 0,
    "titles": 0,
    "likeness": 0,
    "strict_json": 1,
    "bundled": 1,
    "config": 1,
    "db": 2,
    "recommend.counts": 0,
    "recommend.likelihood": 0,
    "perception.reading": 0,
    "perception.blobs": 0,
    "perception.clip": 0,
    "perception.nets": 0,
}
ONLY = {
    "flask": ("web", "cli", "db", "serving", "__init__"),
    "flask_cors": ("web",),
    "itsdangerous": ("web",),
    "ollama": ("recommend.llm",),
    "httpx": ("recommend.llm",),
    "sklearn": (
        "recommend.catalogue",
        "recommend.context_model",
        "recommend.encoding",
        "recommend.estimator",
    ),
    "scipy": ("recommend.counts", "recommend.estimator"),
    "alembic": ("migrating",),
    "click": ("cli",),
    "rapidfuzz": ("likeness",),
    "PIL": ("perception.face",),
    "av": ("perception.clip",),
}
PACKAGE = ROOT / "moodflix"
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "data":
            continue
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts)
        yield (name.removesuffix(".__init__") if len(parts) > 1 else name), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("moodflix"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """The module of the package that an imported name means."""
    if not name.startswith("moodflix."):
        return None
    inner = name.removeprefix("moodflix.")
    stem = PACKAGE / inner.replace(".", "/")
    return inner if stem.with_suffix(".py").exists() or stem.is_dir() else None


def house(name: str) -> str:
    """The module or package that FLOORS names."""
    while name not in FLOOR:
        name, dot, _ = name.rpartition(".")
        assert dot, f"{name} stands on no floor"
    return name


@pytest.mark.parametrize(("name", "path"), list(modules()))
def test_it_imports_only_from_floors_below(name: str, path: Path) -> None:
    mine = house(name)
    for target in {found for each in imported(path) if (found := own(each))} - {name, "data"}:
        theirs = house(target)
        if theirs == mine:
            ranks = {part: rank for rank, parts in INNER[mine].items() for part in parts.split()}
            inner = [each.removeprefix(mine).lstrip(".") or "__init__" for each in (name, target)]
            if inner[1] != "__init__":
                assert ranks[inner[0]] > ranks[inner[1]], f"{name} imports {target}"
        elif FLOOR[mine] == FLOOR[theirs] == 0:
            assert GROUND[mine] > GROUND[theirs], f"{name} imports {target}"
        else:
            assert FLOOR[mine] > FLOOR[theirs], f"{name} imports {target}"


@pytest.mark.parametrize(("name", "path"), list(modules()))
def test_it_leaves_each_outside_library_to_its_owner(name: str, path: Path) -> None:
    for library in {each.split(".")[0] for each in imported(path)} & ONLY.keys():
        assert house(name) in ONLY[library], f"{name} imports {library}"


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("import moodflix", ("flask", "sqlalchemy", "pydantic", "ollama", "sklearn")),
        ("import wsgi", ("sklearn", "numpy", "scipy")),
        ("from moodflix import migrating", ("sklearn", "numpy", "ollama")),
    ],
)
def test_it_leaves_heavy_libraries_alone(command: str, unwanted: tuple[str, ...]) -> None:
    script = f"import sys; {command}; print(*(sys.modules.keys() & set({unwanted!r})))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_it_keeps_files_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("moodflix", "migrations", "tests", "samples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}
