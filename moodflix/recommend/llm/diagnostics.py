"""What Ollama reports of itself and of the model, for ``flask doctor``."""

from __future__ import annotations

import math
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from moodflix.errors import LlmError
from moodflix.recommend.answer import Numbers, answer_of
from moodflix.recommend.llm import client
from moodflix.recommend.llm.client import RESTART, OllamaError, TooLongError
from moodflix.recommend.llm.limits import Deadline
from moodflix.recommend.llm.recommender import OllamaRecommender
from moodflix.recommend.query import Query

if TYPE_CHECKING:
    # Imported for real by client alone.
    import ollama

# While it pulls, Ollama reports its progress several times a second.
_PULL_SILENCE: Final = 60.0
_F16_BYTES: Final = 2
_UNSAFE: Final = re.compile(r"[^\w.+:-]")
SMALLER: Final = "MOODFLIX_OLLAMA_MODEL=llama3.2:1b flask doctor --pull"
# What Ollama's error contains when a pull fails, what is shown of it, and what helps.
_PULL_FAILURES: Final = (
    ("file does not exist", "Ollama's library has no such model", SMALLER),
    ("no space left", "the disk of Ollama's models is full", "ollama list && df -h"),
    ("dial tcp", "Ollama can't reach its library", "curl -I https://registry.ollama.ai"),
)


@dataclass(frozen=True)
class Model:
    """A pulled model.

    Attributes:
        about: its size in parameters and its quantization, as Ollama reports them.
        weights: size in bytes, ``None`` when unknown.
        token_bytes: bytes of memory that one token of context takes at most, ``None`` when the
            model doesn't report its layers, key-value heads and their lengths.
        longest: the most tokens of context it was made for, ``None`` when unknown.
    """

    about: str
    weights: int | None
    token_bytes: int | None
    longest: int | None


@dataclass(frozen=True)
class Loaded:
    """Models in memory: bytes of ours (0 when it isn't), bytes of it on the GPU, other models."""

    size: int = 0
    on_gpu: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Progress of a pull: the layer (empty between layers) and its bytes."""

    status: str
    layer: str
    done: int
    total: int


def version(seconds: float) -> tuple[str, float]:
    """Return the version of Ollama and the seconds it took to answer.

    Raises:
        OllamaError: no answer within ``seconds``.
    """
    started = time.monotonic()

    async def ask(it: ollama.AsyncClient) -> str:
        # The official client has no call for this.
        answer = await it._client.get("/api/version")  # noqa: SLF001
        answer.raise_for_status()
        found = answer.json().get("version")
        if not isinstance(found, str):
            raise TypeError
        return found

    return _printable(client.call(ask, "", seconds)), time.monotonic() - started


def model(name: str, seconds: float) -> Model:
    """Return what Ollama reports of the model.

    Raises:
        OllamaError: it isn't pulled, or no answer within ``seconds``.
    """

    async def ask(it: ollama.AsyncClient) -> tuple[ollama.ShowResponse, ollama.ListResponse]:
        return await it.show(name), await it.list()

    shown, listed = client.call(ask, name, seconds)
    info = shown.modelinfo or {}
    details = shown.details
    about = (details.parameter_size, details.quantization_level) if details else ()
    return Model(
        about=", ".join(_printable(each) for each in about if each),
        weights={_full(each.model): each.size for each in listed.models}.get(_full(name)),
        token_bytes=_token_bytes(info),
        longest=_whole(info, f"{info.get('general.architecture')}.context_length"),
    )


def loaded(name: str, seconds: float) -> Loaded:
    """Return the models in memory.

    Raises:
        OllamaError: no answer within ``seconds``.
    """
    found = Loaded()
    for each in client.call(lambda it: it.ps(), name, seconds).models:
        if _full(each.model) == _full(name):
            found = replace(found, size=each.size or 0, on_gpu=each.size_vram or 0)
        else:
            found = replace(found, others=(*found.others, _printable(each.model)))
    return found


def ask_for_one_film(name: str, seconds: float) -> Numbers:
    """Ask for one film as the station does, and return what that took.

    Raises:
        OllamaError: no film came within ``seconds``.
    """
    query = Query(context={"mood": "happy", "weekday": "Friday"})
    deadline = Deadline(seconds)
    try:
        return answer_of(OllamaRecommender(name, seconds).ask(query, 1)).numbers
    except LlmError as error:
        problem = error.problem if isinstance(error, OllamaError) else str(error)
        raise OllamaError(problem, RESTART if deadline.left() > 0 else SMALLER) from error


def pull(name: str) -> Iterator[Step]:
    """Pull the model; yields its progress.

    Raises:
        OllamaError: the pull failed.
    """
    broke_off = OllamaError("the pull broke off", f"ollama pull {shlex.quote(name)}")
    while True:
        progress = False
        try:
            for step in _pull_once(name):
                progress = True
                yield step
                if step.status == "success":
                    return
        except TooLongError as error:
            # The progress of a long pull exceeded the limit of a body: Ollama resumes it.
            if progress:
                continue
            raise broke_off from error
        except OllamaError as error:
            for sign, problem, remedy in _PULL_FAILURES:
                if sign in str(error.__cause__):
                    raise OllamaError(problem, remedy) from error
            raise
        raise broke_off


def _pull_once(name: str) -> Iterator[Step]:
    async def ask(it: ollama.AsyncClient) -> AsyncIterator[ollama.ProgressResponse]:
        async for line in await it.pull(name, stream=True):
            yield line

    silence = Deadline(_PULL_SILENCE)
    for line in client.stream(ask, name, Deadline(math.inf)):
        if line is not None:
            silence = Deadline(_PULL_SILENCE)
            yield Step(line.status or "", line.digest or "", line.completed or 0, line.total or 0)
        elif silence.left() <= 0:
            raise OllamaError(f"no complete answer within {_PULL_SILENCE:g} s", RESTART)


def _token_bytes(info: Mapping[str, Any]) -> int | None:
    """Return the bytes of one token's keys and values, at most.

    Layers x KV heads x (key + value length) x 2 bytes; layers with a window take less.
    """
    name = info.get("general.architecture")
    attention = f"{name}.attention."
    heads = _whole(info, attention + "head_count")
    width = _whole(info, f"{name}.embedding_length")
    usual = width // heads if width and heads else None
    lengths = [_whole(info, attention + each) or usual for each in ("key_length", "value_length")]
    per_layer = info.get(attention + "head_count_kv", heads)
    if isinstance(per_layer, list):
        every = sum(each for each in per_layer if isinstance(each, int))
    else:
        layers = _whole(info, f"{name}.block_count")
        every = layers * per_layer if layers and isinstance(per_layer, int) else 0
    key, value = lengths
    return every * (key + value) * _F16_BYTES if every and key and value else None


def _whole(info: Mapping[str, Any], key: str) -> int | None:
    value = info.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _full(name: str | None) -> str:
    name = name or ""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _printable(text: object) -> str:
    # It is printed in a terminal.
    return _UNSAFE.sub("", str(text))[:60]
