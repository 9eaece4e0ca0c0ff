"""JSON as it was sent: numbers keep their text, and nothing passes that isn't JSON or text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moodflix.errors import FieldProblem, InvalidInputError

MAX_DEPTH = 64
# Longer texts and numbers are not kept.
MAX_TEXT = 200
INVALID = "Invalid JSON"
# Any other name is foreign text, which no answer repeats.
_NAME = re.compile(r"[A-Za-z_]{1,40}")


@dataclass(frozen=True)
class _Refused:
    """Stands where a number can't be taken, until ``check`` names its place."""

    why: str


def parse(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; every number arrives as the text it was written in.

    What it returns may hold values that only ``check`` refuses.

    Raises:
        InvalidInputError: not JSON in UTF-8, or not an object.
    """
    try:
        # Decoded here: json.loads would guess at UTF-16 and let lone surrogates in.
        parsed = json.loads(
            data.decode(), parse_int=_number, parse_float=_number, parse_constant=_not_a_number
        )
    except (ValueError, RecursionError):
        raise InvalidInputError(INVALID) from None
    if not isinstance(parsed, dict):
        raise InvalidInputError(INVALID, [FieldProblem("", "the body must be a JSON object")])
    return parsed


def check(parsed: dict[str, Any]) -> None:
    """Look at every value of what ``parse`` returned.

    Raises:
        InvalidInputError: nested too deep, a number that is infinite or longer than
            ``MAX_TEXT`` characters, or text that can't be stored; names the field.
    """
    # A stack of iterators: recursion is what deep nesting would break, and a copy of what a long
    # list holds would cost more memory than the body.
    open_values: list[tuple[str, Iterator[tuple[object, object]]]] = [("", iter(parsed.items()))]
    while open_values:
        path, items = open_values[-1]
        for name, value in items:
            if isinstance(name, str) and text_problem(name):
                raise InvalidInputError(
                    INVALID, [FieldProblem(path, f"a name {text_problem(name)}")]
                )
            if isinstance(value, _Refused):
                raise InvalidInputError(INVALID, [FieldProblem(_join(path, name), value.why)])
            if isinstance(value, str):
                problem = text_problem(value)
                if problem:
                    where = _join(path, name)
                    raise InvalidInputError(f"{where}: {problem}", [FieldProblem(where, problem)])
            elif isinstance(value, (dict, list)):
                if len(open_values) == MAX_DEPTH:
                    raise InvalidInputError(
                        INVALID, [FieldProblem(path, f"nested deeper than {MAX_DEPTH} levels")]
                    )
                inner = value.items() if isinstance(value, dict) else enumerate(value)
                open_values.append((_join(path, name), iter(inner)))
                break
        else:
            open_values.pop()


def text_problem(text: str) -> str | None:
    """Return why a text can't be stored, ``None`` if it can."""
    if "\0" in text:
        return "must not contain NUL characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain lone surrogates"
    return None


def _join(path: str, name: object) -> str:
    known = isinstance(name, int) or _NAME.fullmatch(str(name))
    return f"{path}.{name if known else '?'}".removeprefix(".")


def _number(text: str) -> str | _Refused:
    if len(text) > MAX_TEXT:
        return _Refused(f"a number longer than {MAX_TEXT} characters")
    return _Refused("an infinite number") if math.isinf(float(text)) else text


def _not_a_number(text: str) -> _Refused:
    return _Refused(f"{text} is not JSON")
