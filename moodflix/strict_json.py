"""JSON as it was sent: numbers keep their text, and nothing passes that isn't JSON or text."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from moodflix.errors import FieldProblem, InvalidInputError

MAX_DEPTH = 64
MAX_NUMBER = 200
INVALID = "Invalid JSON"


def parse(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; every number arrives as the text it was written in.

    Raises:
        InvalidInputError: not JSON, not an object, nested too deep, a number that is infinite or
            longer than ``MAX_NUMBER`` characters, or text that can't be stored.
    """
    try:
        parsed = json.loads(
            data, parse_int=_number, parse_float=_number, parse_constant=_not_a_number
        )
    except (ValueError, RecursionError):
        raise InvalidInputError(INVALID) from None
    if not isinstance(parsed, dict):
        raise InvalidInputError(INVALID, [FieldProblem("", "the body must be a JSON object")])
    _check(parsed)
    return parsed


def unfit(text: str) -> str | None:
    """Say why a text can't be stored, or return ``None`` when it can."""
    if "\0" in text:
        return "must not contain NUL characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    return None


def _number(text: str) -> str:
    if len(text) > MAX_NUMBER:
        raise InvalidInputError(
            INVALID, [FieldProblem("", f"a number is longer than {MAX_NUMBER} characters")]
        )
    if math.isinf(float(text)):
        raise InvalidInputError(INVALID, [FieldProblem("", "a number is infinite")])
    return text


def _not_a_number(text: str) -> NoReturn:
    raise InvalidInputError(INVALID, [FieldProblem("", f"{text} is not JSON")])


def _check(parsed: dict[str, Any]) -> None:
    # A stack of its own: recursion is what deep nesting would break.
    pending: list[tuple[str, Any, int]] = [("", parsed, 1)]
    while pending:
        path, value, depth = pending.pop()
        if isinstance(value, str):
            problem = unfit(value)
            if problem:
                raise InvalidInputError(f"{path}: {problem}", [FieldProblem(path, problem)])
        elif isinstance(value, (dict, list)):
            if depth > MAX_DEPTH:
                raise InvalidInputError(
                    INVALID, [FieldProblem("", f"nested deeper than {MAX_DEPTH} levels")]
                )
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for name, item in items:
                if isinstance(name, str) and unfit(name):
                    raise InvalidInputError(INVALID, [FieldProblem(path, f"a name {unfit(name)}")])
                pending.append((f"{path}.{name}".lstrip("."), item, depth + 1))
