"""What is wrong with Ollama, in words that may be shown and that say what to do."""

from __future__ import annotations

import json
from typing import Any

import httpx
import ollama
from pydantic import ValidationError

# What the official client is known to raise, its own and what passes through it.
FAILURES: Any = (
    ollama.ResponseError,
    ollama.RequestError,
    httpx.HTTPError,
    httpx.InvalidURL,
    ConnectionError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    ValidationError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)
_COMPLAINTS: Any = (
    (
        (httpx.ConnectError, ConnectionError),
        "Ollama is not reachable; is it running? start it with: ollama serve",
    ),
    (httpx.TimeoutException, "no complete answer within {seconds:g} s"),
    (httpx.TransportError, "the connection to Ollama broke"),
    (httpx.InvalidURL, "OLLAMA_HOST is not an address"),
)


def complaint(error: Exception, model: str, seconds: float) -> str:
    """Say what is wrong without a word of the error's own: it may hold addresses.

    Args:
        error: one of ``FAILURES``.
        model: the model that was asked.
        seconds: how long the call was allowed to take.
    """
    if isinstance(error, ollama.ResponseError):
        return _of_status(error.status_code, model)
    for kinds, words in _COMPLAINTS:
        if isinstance(error, kinds):
            return str(words).format(seconds=seconds)
    return "what answers at OLLAMA_HOST does not speak Ollama's API"


def _of_status(status: int, model: str) -> str:
    if status == httpx.codes.NOT_FOUND:
        return f"model '{model}' is not pulled; run: ollama pull {model}"
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return "Ollama is busy; try again in a moment"
    if httpx.codes.is_redirect(status):
        return "OLLAMA_HOST leads to a redirect; set it to where Ollama itself answers"
    return f"Ollama answered HTTP {status}" if status > 0 else "Ollama broke off with an error"
