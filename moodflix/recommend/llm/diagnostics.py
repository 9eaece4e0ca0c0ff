"""What Ollama says of itself and of the model: for the doctor."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
import ollama

from moodflix.errors import LlmError
from moodflix.recommend.llm import prompt
from moodflix.recommend.llm.call import Call, Listener, Numbers
from moodflix.recommend.llm.client import Deadline, connect
from moodflix.recommend.llm.ollama_errors import FAILURES, complaint
from moodflix.recommend.query import Query

# While it pulls, Ollama says several times a second how far it is.
_PATIENCE: Final = 60.0
_F16_BYTES: Final = 2
_LOCAL: Final = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104 - nothing is bound
_SAFE_WORD: Final = re.compile(r"[^\w.+:-]")
INSTALL: Final = "curl -fsSL https://ollama.com/install.sh | sh"
_RESTART: Final = "sudo systemctl restart ollama"
_RIGHT_HOST: Final = "export OLLAMA_HOST=127.0.0.1:11434"
SMALLER: Final = "MOODFLIX_OLLAMA_MODEL=llama3.2:1b flask doctor --pull"
# What Ollama says when a pull fails, what is shown of it, and what helps.
_PULL_FAILURES: Final = (
    ("file does not exist", "Ollama's library has no such model", SMALLER),
    ("no space left", "the disk of Ollama's models is full", "ollama list && df -h"),
    ("dial tcp", "Ollama can't reach its library", "curl -I https://registry.ollama.ai"),
)


class OllamaProblemError(LlmError):
    """Something is wrong with Ollama; ``remedy`` is the command that helps."""

    def __init__(self, message: str, remedy: str) -> None:
        """Store what is wrong and the command."""
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Model:
    """A pulled model.

    Attributes:
        about: its size in parameters and its quantization, as Ollama says them.
        weights: bytes, ``None`` when Ollama didn't say.
        token_bytes: bytes of memory that one token of context takes at most, ``None`` when the
            model doesn't say its layers, key-value heads and their lengths.
        longest: the most tokens of context it was made for, ``None`` when it didn't say.
    """

    about: str
    weights: int | None
    token_bytes: int | None
    longest: int | None


@dataclass(frozen=True)
class Loaded:
    """Models in memory: bytes of ours (0 when it isn't), of it on the GPU, and the others."""

    size: int = 0
    on_gpu: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """How far a pull is: the layer (empty between layers) and its bytes."""

    status: str
    layer: str
    done: int
    total: int


def version(seconds: float) -> tuple[str, float]:
    """Return the version of Ollama and the seconds it took to say it.

    Raises:
        OllamaProblemError: it didn't within ``seconds``.
    """
    started = time.monotonic()
    with _asking("", Deadline(seconds)) as client:
        # The official client has no call for this.
        answer = _http(client).get("/api/version")
        answer.raise_for_status()
        said = answer.json().get("version")
        if not isinstance(said, str):
            raise TypeError
        return _word(said), time.monotonic() - started


def model(name: str, seconds: float) -> Model:
    """Return what Ollama knows of the model.

    Raises:
        OllamaProblemError: it isn't pulled, or Ollama didn't answer within ``seconds``.
    """
    with _asking(name, Deadline(seconds)) as client:
        shown = client.show(name)
        sizes = {_full(each.model): each.size for each in client.list().models}
    info = shown.modelinfo or {}
    details = shown.details
    about = (details.parameter_size, details.quantization_level) if details else ()
    return Model(
        about=", ".join(_word(each) for each in about if each),
        weights=sizes.get(_full(name)),
        token_bytes=_token_bytes(info),
        longest=_whole(info, f"{info.get('general.architecture')}.context_length"),
    )


def loaded(name: str, seconds: float) -> Loaded:
    """Return what is in memory.

    Raises:
        OllamaProblemError: Ollama didn't say within ``seconds``.
    """
    with _asking(name, Deadline(seconds)) as client:
        models = client.ps().models
    found = Loaded()
    for each in models:
        if _full(each.model) == _full(name):
            found = replace(found, size=each.size or 0, on_gpu=each.size_vram or 0)
        else:
            found = replace(found, others=(*found.others, _word(each.model)))
    return found


def ask_for_one_film(name: str, seconds: float) -> Numbers:
    """Ask for one film as the station does, and return what that took.

    Raises:
        OllamaProblemError: no film came within ``seconds``.
    """
    query = Query(context={"mood": "happy", "weekday": "Friday"})
    deadline = Deadline(seconds)
    try:
        return Call(name, query, deadline, Listener()).run(prompt.build(query, 1)).numbers
    except LlmError as error:
        remedy = _RESTART if deadline.left() > 0 else SMALLER
        raise OllamaProblemError(_headline(str(error)), remedy) from error


def pull(name: str) -> Iterator[Step]:
    """Pull the model; yields how far it is.

    Raises:
        OllamaProblemError: it isn't pulled in the end.
    """
    again = f"ollama pull {shlex.quote(name)}"
    while True:
        heard = False
        deadline = _Patience(_PATIENCE)
        try:
            with _asking(name, deadline) as client:
                for line in client.pull(name, stream=True):
                    heard = True
                    deadline.renew()
                    yield Step(
                        line.status or "", line.digest or "", line.completed or 0, line.total or 0
                    )
                    if line.status == "success":
                        return
            raise OllamaProblemError("the pull broke off", again)
        except _TooLongError as error:
            # So much was said about a long pull that the client closed it; Ollama resumes.
            if not heard:
                raise OllamaProblemError("the pull broke off", again) from error


def is_local() -> bool:
    """Whether Ollama runs on this machine, as far as its address tells."""
    with connect(Deadline(1)) as client:
        return _http(client).base_url.host in _LOCAL


class _Patience(Deadline):
    """A deadline that moves on with each sign of life."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.renew()

    def renew(self) -> None:
        self._heard_at = time.monotonic()

    def left(self) -> float:
        return self._heard_at + self.seconds - time.monotonic()


class _TooLongError(OllamaProblemError):
    """The client closed an answer that was longer than any."""


@contextmanager
def _asking(name: str, deadline: Deadline) -> Iterator[ollama.Client]:
    try:
        with connect(deadline) as client:
            yield client
    except FAILURES as error:
        kind = _TooLongError if isinstance(error, httpx.DecodingError) else OllamaProblemError
        said = _headline(complaint(error, name, deadline.seconds))
        raise kind(*_problem(error, said, name)) from error


def _problem(error: Exception, said: str, name: str) -> tuple[str, str]:
    """Return what is wrong and the command that helps."""
    if isinstance(error, ollama.ResponseError):
        return _refusal(error, said, name)
    if isinstance(error, httpx.ConnectError | ConnectionError) and is_local():
        return said, "ollama serve" if shutil.which("ollama") else INSTALL
    broke = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ConnectError)
    return said, _RESTART if broke else _RIGHT_HOST


def _refusal(error: ollama.ResponseError, said: str, name: str) -> tuple[str, str]:
    for sign, words, remedy in _PULL_FAILURES:
        if sign in error.error:
            return words, remedy
    if httpx.codes.is_redirect(error.status_code):
        return said, _RIGHT_HOST
    missing = error.status_code == httpx.codes.NOT_FOUND
    return said, f"ollama pull {shlex.quote(name)}" if missing else _RESTART


def _headline(said: str) -> str:
    # The remedy stands apart here.
    return said.partition(";")[0]


def _http(client: ollama.Client) -> httpx.Client:
    opened: httpx.Client = client._client  # noqa: SLF001 - it hands out nothing better
    return opened


def _token_bytes(info: Mapping[str, Any]) -> int | None:
    """Size keys and values of one token: layers x KV heads x (key + value length) x 2 bytes.

    Layers that see only a window, or that keep no keys at all, take less.
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


def _word(said: object) -> str:
    # Ollama's words go to a terminal.
    return _SAFE_WORD.sub("", str(said))[:60]
