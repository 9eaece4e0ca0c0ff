"""Checks each part of the station: what was found, and the command that helps."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from moodflix import clock
from moodflix.config import Settings, variable
from moodflix.errors import DatabaseUnavailableError, SchemaError
from moodflix.instance import Instance
from moodflix.learning.files import ModelFileError, ModelStore, OutdatedModelError
from moodflix.perception import face
from moodflix.recommend.llm import client, diagnostics, prompt
from moodflix.recommend.llm.client import OllamaError
from moodflix.recommend.llm.recommender import MAX_FILMS
from moodflix.store import logs, migration, sums
from moodflix.store.database import Database

OK, WARNING, BROKEN = "ok", "warning", "broken"

MEMINFO = Path("/proc/meminfo")
# For one question to Ollama; the test call may take as long as an answer, as it may load the model.
_LOOKUP_SECONDS: Final = 5.0
_OLDEST_OLLAMA: Final = (0, 5)
# Memory that a model takes beside its weights and its context.
_WORKING_BYTES: Final = 300_000_000
# Memory that should stay free once the model is loaded.
_SPARE_BYTES: Final = 300_000_000
_LOW_DISK_BYTES: Final = 1_000_000_000
_FULL_DISK_BYTES: Final = 50_000_000
_UPGRADE: Final = "flask db upgrade"


@dataclass(frozen=True)
class Check:
    """The state of one part of the station.

    Attributes:
        name: the part.
        status: ok, warning or broken.
        found: what was found, in one line without secrets.
        remedy: the command that helps; empty when nothing is wrong.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


def check_station(settings: Settings, database: Database, instance: Instance) -> Iterator[Check]:
    """Check the parts one by one; what depends on a broken part is left out.

    Args:
        settings: of the station.
        database: its own, migrated or not.
        instance: where it keeps what it writes.
    """
    yield from _ollama(settings)
    yield from _database(database, instance)
    yield from _perception()
    yield _clock(settings)


def _ollama(settings: Settings) -> Iterator[Check]:
    if settings.llm == "embedded":
        yield Check("ollama", OK, f"not asked: {variable('llm')}=embedded")
        return
    name = settings.ollama_model
    part = "ollama"
    try:
        yield _version(*diagnostics.version(_LOOKUP_SECONDS))
        part = "model"
        model = diagnostics.model(name, _LOOKUP_SECONDS)
        size = "" if model.weights is None else _bytes(model.weights)
        about = ", ".join(filter(None, (model.about, size)))
        yield Check(part, OK, f"{name} is pulled" + (f" ({about})" if about else ""))
        part = "loaded"
        before = diagnostics.loaded(name, _LOOKUP_SECONDS)
        yield _loaded(name, before)
        yield _test_call(settings, was_loaded=before.size > 0)
        part = "gpu"
        after = diagnostics.loaded(name, _LOOKUP_SECONDS)
        if after.size:
            yield _gpu(name, after)
        yield _memory(model, after)
    except OllamaError as error:
        yield Check(part, BROKEN, error.problem, error.remedy)


def _version(version: str, seconds: float) -> Check:
    found = f"version {version or 'unknown'} answers within {seconds * 1000:.0f} ms"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    # A version built from source is 0.0.0.
    if (0, 0) < numbers < _OLDEST_OLLAMA:
        found += "; before 0.5 it can't keep an answer to a schema"
        return Check("ollama", BROKEN, found, client.INSTALL)
    return Check("ollama", OK, found)


def _loaded(name: str, loaded: diagnostics.Loaded) -> Check:
    if loaded.size:
        return Check("loaded", OK, f"{_bytes(loaded.size)} in memory")
    remedy = f'ollama run {shlex.quote(name)} ""'
    return Check("loaded", WARNING, "was not in memory: an answer waits until it is", remedy)


def _test_call(settings: Settings, *, was_loaded: bool) -> Check:
    try:
        numbers = diagnostics.ask_for_one_film(settings.ollama_model, settings.llm_timeout)
    except OllamaError as error:
        return Check("test call", BROKEN, error.problem, error.remedy)
    first, speed = numbers.first_film or numbers.total, numbers.tokens_per_second
    pace = "unknown speed" if speed is None else f"{speed:.1f} tokens/s"
    found = f"the first film after {first:.1f} s, at {pace}"
    if not was_loaded:
        return Check("test call", OK, f"{found}, loading included")
    if numbers.total * MAX_FILMS <= settings.llm_timeout:
        return Check("test call", OK, found)
    budget = variable("llm_timeout")
    return Check(
        "test call",
        WARNING,
        f"{found}: {MAX_FILMS} films may take longer than {budget}={settings.llm_timeout:g}",
        diagnostics.USE_SMALLER_MODEL,
    )


def _gpu(name: str, loaded: diagnostics.Loaded) -> Check:
    share = round(100 * loaded.on_gpu / loaded.size)
    found = f"{share} % of the model is on the GPU"
    if share == 100:  # noqa: PLR2004 - per cent
        return Check("gpu", OK, found)
    if share == 0:
        return Check("gpu", WARNING, found, "sudo systemctl restart ollama && flask doctor")
    to_stop = loaded.others or (name,)
    stop = " && ".join(f"ollama stop {shlex.quote(each)}" for each in to_stop)
    return Check("gpu", WARNING, f"{found}: memory was short", f"{stop} && flask doctor")


def _memory(model: diagnostics.Model, loaded: diagnostics.Loaded) -> Check:
    context = f"num_ctx {prompt.NUM_CTX}"
    if model.longest is not None and model.longest < prompt.NUM_CTX:
        found = f"{context} is more than the {model.longest} tokens the model was made for"
        return Check("memory", WARNING, found, diagnostics.USE_SMALLER_MODEL)
    cache = None if model.token_bytes is None else model.token_bytes * prompt.NUM_CTX
    takes = f"{context} takes " + ("?" if cache is None else f"at most {_bytes(cache)}")
    if not client.is_local():
        return Check("memory", OK, f"{takes}; can't tell if it fits: Ollama is on another machine")
    free = _free_memory()
    if free is None:
        return Check("memory", OK, f"{takes}; can't tell if it fits: the system doesn't say")
    if loaded.size:
        found = f"{takes} of the {_bytes(loaded.size)} loaded; {_bytes(free)} are still free"
        return _fits(found, fits=free >= _SPARE_BYTES)
    if cache is None or model.weights is None:
        return Check(
            "memory",
            OK,
            f"{takes}; can't tell if it fits: Ollama doesn't say the model's layers or size",
        )
    need = model.weights + cache + _WORKING_BYTES
    found = f"{takes}, the whole model about {_bytes(need)}; {_bytes(free)} are free"
    return _fits(found, fits=need <= free)


def _fits(found: str, *, fits: bool) -> Check:
    remedy = "" if fits else diagnostics.USE_SMALLER_MODEL
    return Check("memory", OK if fits else WARNING, found, remedy)


def _free_memory() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text("ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _database(database: Database, instance: Instance) -> Iterator[Check]:
    url = database.engine.url
    is_sqlite = url.get_backend_name() == "sqlite"
    file = Path(url.database) if is_sqlite and url.database else None
    place = instance.folder if file is None else file.parent
    name = database.engine.dialect.name if file is None else str(file)
    if not database.exists():
        yield Check("database", BROKEN, f"{name} does not exist", _UPGRADE)
        yield _disk(place)
        return
    try:
        current, newest = migration.state(database)
        yield _writable(name, file)
        yield _migrations(current, newest)
        if current == newest:
            yield _choices(database, ModelStore(instance.models))
            yield from _sums(database)
    except DatabaseUnavailableError as error:
        where = shlex.quote(str(place))
        yield Check("database", BROKEN, f"{name}: {error}", f"ls -la {where} && df -h {where}")
    except SchemaError as error:
        yield Check("migrations", BROKEN, str(error).partition(";")[0], f"git pull && {_UPGRADE}")
    yield _disk(place)


def _writable(name: str, file: Path | None) -> Check:
    if file is None or all(os.access(each, os.W_OK) for each in (file, file.parent)):
        size = "" if file is None else f", {_bytes(file.stat().st_size)}"
        return Check("database", OK, name + size)
    remedy = f'sudo chown -R "$USER" {shlex.quote(str(file.parent))}'
    return Check("database", BROKEN, f"{name} can't be written", remedy)


def _migrations(current: str | None, newest: str) -> Check:
    if current == newest:
        return Check("migrations", OK, f"at {current}, the newest")
    found = "not migrated" if current is None else f"at {current}, the newest is {newest}"
    return Check("migrations", BROKEN, found, _UPGRADE)


def _choices(database: Database, models: ModelStore) -> Check:
    with database.read() as session:
        count = logs.count(session)
        newest = logs.recent(session, 1)
    sent = logs.moment(newest[0][0]) if newest else None
    dated = "" if sent is None else f", the newest of {sent:%Y-%m-%d}"
    found, number = f"{count:,} to learn from{dated}", models.current()
    if number is None:
        return Check("choices", OK, f"{found}; no model yet: films count by popularity")
    try:
        about = models.load(number, arrays=False)[0]
    except OutdatedModelError as error:
        return Check("choices", OK, f"{found}; {error}: a running station trains a new one")
    except ModelFileError as error:
        return Check("choices", WARNING, f"{found}; {error}", "flask model train")
    age = datetime.now(timezone.utc) - about.made_at
    summary = f"{found}; {about.summary(number)}, made {age / timedelta(days=1):.1f} days ago"
    if about.fallback_for is None:
        return Check("choices", OK, summary)
    fallback = f"model {about.fallback_for} does worse than popularity, which is used instead"
    return Check("choices", WARNING, f"{summary}; {fallback}", "flask model list")


def _sums(database: Database) -> Iterator[Check]:
    with database.read() as session:
        zones = sums.other_zones(session)
    if zones:
        found = f"the dashboard's are partly of days in another time zone: {', '.join(zones)}"
        yield Check("sums", WARNING, found, "flask stats rebuild")


def _perception() -> Iterator[Check]:
    problem, _, remedy = face.nets_problem().partition("; run: ")
    found = problem or "moods are read from camera frames"
    yield Check("face", WARNING if problem else OK, found, remedy)
    if find_spec("av"):
        yield Check("voice", OK, "tones are read from recorded clips")
    else:
        remedy = f'{shlex.quote(sys.executable)} -m pip install "moodflix[voice]"'
        yield Check("voice", WARNING, "of recorded clips only WAV is read", remedy)


def _clock(settings: Settings) -> Check:
    if settings.timezone or clock.system_is_set():
        zone = settings.timezone or "the system's time zone"
        return Check("clock", OK, f"days and hours are those of {zone}")
    found = "no time zone is set: days and hours are those of UTC"
    return Check("clock", WARNING, found, f"export {variable('timezone')}=Asia/Seoul")


def _disk(place: Path) -> Check:
    path = place.absolute()
    existing = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    found = f"{_bytes(free)} free where the database is"
    if free >= _LOW_DISK_BYTES:
        return Check("disk", OK, found)
    remedy = "sudo apt-get clean && sudo journalctl --vacuum-size=100M"
    return Check("disk", BROKEN if free < _FULL_DISK_BYTES else WARNING, found, remedy)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004
