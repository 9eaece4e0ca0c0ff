"""Asks Ollama about itself and the model, and pulls models, for ``flask doctor``."""

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

# While it pulls a model, Ollama reports its progress several times a second.
_PULL_SILENCE: Final = 60.0
_F16_BYTES: Final = 2
_UNSAFE: Final = re.compile(r"[^\w.+:-]")
USE_SMALLER_MODEL: Final = "MOODFLIX_OLLAMA_MODEL=llama3.2:1b flask doctor --pull"
# What Ollama's error contains when a pull fails, and the problem and remedy that are shown.
_PULL_FAILURES: Final = (
    ("file does not exist", "Ollama's library has no such model", USE_SMALLER_MODEL),
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
        longest: its largest context in tokens, ``None`` when unknown.
    """

    about: str
    weights: int | None
    token_bytes: int | None
    longest: int | None


@dataclass(frozen=True)
class Loaded:
    """Models in memory: bytes of ours (0: not loaded), those on the GPU, and other models."""

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

    async def request(api: ollama.AsyncClient) -> str:
        # The official client has no call for this.
        answer = await api._client.get("/api/version")  # noqa: SLF001
        answer.raise_for_status()
        reported = answer.json().get("version")
        if not isinstance(reported, str):
            raise TypeError
        return reported

    return _printable(client.call(request, "", seconds)), time.monotonic() - started


def model(name: str, seconds: float) -> Model:
    """Return what Ollama reports of the model.

    Raises:
        OllamaError: it isn't pulled, or no answer within ``seconds``.
    """

    async def request(api: ollama.AsyncClient) -> tuple[ollama.ShowResponse, ollama.ListResponse]:
        return await api.show(name), await api.list()

    shown, listed = client.call(request, name, seconds)
    info = shown.modelinfo or {}
    details = shown.details
    about = (details.parameter_size, details.quantization_level) if details else ()
    sizes = {_with_tag(pulled.model): pulled.size for pulled in listed.models}
    return Model(
        about=", ".join(map(_printable, filter(None, about))),
        weights=sizes.get(_with_tag(name)),
        token_bytes=_token_bytes(info),
        longest=_positive_int(info, f"{info.get('general.architecture')}.context_length"),
    )


def loaded(name: str, seconds: float) -> Loaded:
    """Return the models in memory.

    Raises:
        OllamaError: no answer within ``seconds``.
    """
    ours, others = Loaded(), []
    for running in client.call(lambda api: api.ps(), name, seconds).models:
        if _with_tag(running.model) == _with_tag(name):
            ours = Loaded(running.size or 0, running.size_vram or 0)
        else:
            others.append(_printable(running.model))
    return replace(ours, others=tuple(others))


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
        remedy = RESTART if deadline.remaining() > 0 else USE_SMALLER_MODEL
        raise OllamaError(problem, remedy) from error


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
            for message_part, problem, remedy in _PULL_FAILURES:
                if message_part in str(error.__cause__):
                    raise OllamaError(problem, remedy) from error
            raise
        raise broke_off


def _pull_once(name: str) -> Iterator[Step]:
    async def request(api: ollama.AsyncClient) -> AsyncIterator[ollama.ProgressResponse]:
        async for line in await api.pull(name, stream=True):
            yield line

    progress_deadline = Deadline(_PULL_SILENCE)
    for line in client.stream(request, name, Deadline(math.inf)):
        if line is not None:
            progress_deadline = Deadline(_PULL_SILENCE)
            yield Step(line.status or "", line.digest or "", line.completed or 0, line.total or 0)
        elif progress_deadline.remaining() <= 0:
            raise OllamaError(f"no complete answer within {_PULL_SILENCE:g} s", RESTART)


def _token_bytes(info: Mapping[str, Any]) -> int | None:
    """Return the most bytes that one token's keys and values take.

    Layers x KV heads x (key + value length) x 2 bytes; layers with a window take less.
    """
    name = info.get("general.architecture")
    attention = f"{name}.attention."
    heads = _positive_int(info, attention + "head_count")
    width = _positive_int(info, f"{name}.embedding_length")
    usual = width // heads if width and heads else None
    key = _positive_int(info, attention + "key_length") or usual
    value = _positive_int(info, attention + "value_length") or usual
    per_layer = info.get(attention + "head_count_kv", heads)
    if isinstance(per_layer, list):
        kv_heads = sum(count for count in per_layer if isinstance(count, int))
    else:
        layers = _positive_int(info, f"{name}.block_count")
        kv_heads = layers * per_layer if layers and isinstance(per_layer, int) else 0
    return kv_heads * (key + value) * _F16_BYTES if kv_heads and key and value else None


def _positive_int(info: Mapping[str, Any], key: str) -> int | None:
    value = info.get(key)
    return value if isinstance(value, int) and value > 0 else None


def _with_tag(name: str | None) -> str:
    name = name or ""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _printable(text: object) -> str:
    # It is printed in a terminal.
    return _UNSAFE.sub("", str(text))[:60]
