"""Parses JSON strictly; numbers keep the text they were sent in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moodflix.errors import FieldProblem, InvalidInputError

MAX_DEPTH = 64
# Characters of a number, and of most texts, that are accepted.
MAX_TEXT = 200
INVALID = "Invalid JSON"
# What opens or closes a string, an object or a list.
_MARK = re.compile(r'\\.|["[{}\]]', re.DOTALL)
# Error messages repeat only field names that look like this.
_NAME = re.compile(r"[A-Za-z_]{1,40}")


@dataclass(frozen=True)
class _Refused:
    """Stands for a refused number until ``check`` raises an error with its path."""

    why: str
    is_json: bool = True


#: Names of the documented fields; the value is the fields of the object in it, or ``None``.
Fields = Mapping[str, Any]
_IGNORED: Fields = {}


def parse(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; every number becomes the text it was written as.

    The result may hold values that ``check`` refuses.

    Raises:
        InvalidInputError: not JSON in UTF-8, or not an object.
    """
    try:
        # Decoded here, as json.loads would accept UTF-16 and lone surrogates.
        text = data.decode()
        try:
            parsed = _loads(text, _not_a_number)
        except RecursionError:
            parsed = _loads(_flattened(text), _not_a_number)
    except ValueError:
        raise InvalidInputError(INVALID) from None
    if not isinstance(parsed, dict):
        raise InvalidInputError(INVALID, [FieldProblem("", "the body must be a JSON object")])
    return parsed


def _loads(text: str, constant: Callable[[str], object]) -> Any:
    return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=constant)


def _flattened(text: str) -> str:
    """Return JSON with ``[]`` in place of everything nested deeper than ``MAX_DEPTH`` levels.

    What is replaced is parsed too, ``MAX_DEPTH`` levels at a time, as the parser is recursive.

    Raises:
        ValueError: a piece is not JSON.
    """
    # The text so far of each piece that is still open, the outermost first.
    pieces: list[list[str]] = [[]]
    depth = start = 0
    in_string = False
    for mark in _MARK.finditer(text):
        if mark[0] == '"':
            in_string = not in_string
        elif in_string or mark[0][0] == "\\":
            continue
        elif mark[0] in "[{":
            if depth and depth % MAX_DEPTH == 0:
                pieces[-1].append(text[start : mark.start()])
                pieces.append([])
                start = mark.start()
            depth += 1
        else:
            depth -= 1
            if depth < 0:
                break
            if depth and depth % MAX_DEPTH == 0:
                _loads("".join([*pieces.pop(), text[start : mark.end()]]), _refuse)
                pieces[-1].append("[]")
                start = mark.end()
    return "".join([*pieces[-1], text[start:]])


def check(parsed: dict[str, Any], fields: Fields | None = None) -> None:
    """Check every value that ``parse`` returned, or only those of documented fields.

    Raises:
        InvalidInputError: nested too deep, a number that is infinite or longer than
            ``MAX_TEXT`` characters, or text that can't be stored; names the field. In other
            fields only what is not JSON is refused.
    """
    # A stack of iterators: deep nesting would exceed the recursion limit, and copying a long list
    # would take more memory than the body.
    open_values: list[tuple[str, Fields | None, Iterator[tuple[object, object]]]]
    open_values = [("", fields, iter(parsed.items()))]
    while open_values:
        path, known, items = open_values[-1]
        for name, value in items:
            inner = known
            if isinstance(name, str):
                # An unknown field's name may have NUL in it, but has to be Unicode.
                stored = name if known is None else name.replace("\0", "")
                if known is not _IGNORED and (problem := text_problem(stored)):
                    raise InvalidInputError(INVALID, [FieldProblem(path, f"a name {problem}")])
                inner = None if known is None else known.get(name, _IGNORED)
            is_ignored = inner is _IGNORED
            if isinstance(value, _Refused) and not (is_ignored and value.is_json):
                raise InvalidInputError(INVALID, [FieldProblem(_join(path, name), value.why)])
            if isinstance(value, str) and not is_ignored and (problem := text_problem(value)):
                raise InvalidInputError.of(FieldProblem(_join(path, name), problem))
            if isinstance(value, (dict, list)):
                if len(open_values) >= MAX_DEPTH and not is_ignored:
                    why = f"nested deeper than {MAX_DEPTH} levels"
                    raise InvalidInputError(INVALID, [FieldProblem(path, why)])
                pairs = value.items() if isinstance(value, dict) else enumerate(value)
                # Messages need no path in ignored fields, where it could become very long.
                where = path if is_ignored else _join(path, name)
                open_values.append((where, inner, iter(pairs)))
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
    return _Refused(f"{text} is not JSON", is_json=False)


def _refuse(text: str) -> None:
    raise ValueError(text)
