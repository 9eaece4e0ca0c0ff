from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moodflix import strict_json
from moodflix.errors import FieldProblem, InvalidInputError

NAMES = st.sampled_from(
    "environment env images audio mood tone text movies exclude limit movieTitle clientSentAt "
    "inferenceId protocol version message_type payload city lat temperature weekday".split()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["MFNP", "inference", "inference-log", "22", "\0", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=200)
    | st.dictionaries(NAMES, VALUES, max_size=6).map(lambda body: json.dumps(body).encode())
    | VALUES.map(lambda body: json.dumps(body).encode())
)

# The database that examples share grows, and nothing asks it about its rows.
MANY = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(data: bytes) -> dict[str, Any]:
    parsed = strict_json.parse(data)
    strict_json.check(parsed)
    return parsed


@MANY
@given(body=BODIES, path=st.sampled_from(["/inference", "/inference/log"]))
@example(body=b"[" * 60_000, path="/inference")
@example(body=b'{"a":' * 12_000, path="/inference")
@example(body=b"\xff\xfe{\0}\0", path="/inference")
@example(body=b'{"limit": ' + b"9" * 5000 + b"}", path="/inference")
@example(body=b'{"environment": {"lat": 1e-5000, "lon": -0.0}}', path="/inference")
@example(body=b'{"movieTitle": "x", "env": {"lat": 1E400}}', path="/inference/log")
@example(body=b'{"movieTitle": "x", "clientSentAt": 1e18}', path="/inference/log")
@example(
    body=b'{"movieTitle": "x", "clientSentAt": "0001-01-01T00:00+14:00"}', path="/inference/log"
)
def test_any_body_is_answered_with_200_or_400_in_json(app: Flask, body: bytes, path: str) -> None:
    answered = app.test_client().post(path, data=body)
    assert answered.status_code in (200, 400)
    assert isinstance(answered.get_json(), dict)


ODD = st.sampled_from(
    [
        b'"\\u0000"',
        b'"\\ud800"',
        b"1e999",
        b"9" * 500,
        b"[" * 80 + b"]" * 80,
        b'{"\\u0000": [1e999]}',
    ]
) | VALUES.map(lambda value: json.dumps(value).encode()).filter(
    lambda text: b"NaN" not in text and b"Infinity" not in text
)
ENVELOPE = b'{"protocol": "MFNP", "message_type": "%s", "payload": {%s}, "sender": %s}'


@MANY
@given(odd=ODD, is_enveloped=st.booleans())
@pytest.mark.parametrize(
    ("name", "holder", "known"),
    [
        ("inference-reading", b"environment", b'"limit": 1'),
        ("inference-log", b"env", b'"movieTitle": "x"'),
        (
            "inference-feedback",
            None,
            b'"movieTitle": "x", "visitor": "a-visitor", "verdict": "loved"',
        ),
    ],
)
def test_unknown_fields_are_ignored_whatever_is_in_them(
    app: Flask, name: str, holder: bytes | None, known: bytes, odd: bytes, *, is_enveloped: bool
) -> None:
    payload = known + b', "unknown": ' + odd
    if holder:
        payload += b', "%s": {"city": "Seoul", "unknown": %s}' % (holder, odd)
    body = ENVELOPE % (name.encode(), payload, odd) if is_enveloped else b"{%s}" % payload
    answered = app.test_client().post(f"/{name.replace('-', '/')}", data=body)
    assert answered.status_code == 200, answered.text


def nested(depth: int, inside: bytes = b"0") -> bytes:
    return b'[{"a":' * (depth // 2) + inside + b"}]" * (depth // 2)


DEEP = [64, 66, 128, 130, 1_024, 3_000]


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize("inside", [b"0", b'"]}\\"[{\\\\"', b"1e999", b'[{"\\u0000": []}, "["]'])
def test_an_unknown_field_may_be_nested_as_deep_as_it_likes(
    app: Flask, depth: int, inside: bytes
) -> None:
    odd = nested(depth, inside)
    fields = b'"limit": 1, "a": %s, "environment": {"b": [%s, %s]}, "c": %s' % ((odd,) * 4)
    for body in (b"{%s}" % fields, ENVELOPE % (b"inference-reading", fields, odd)):
        answered = app.test_client().post("/inference/reading", data=body)
        assert answered.status_code == 200, answered.text[:200]


@pytest.mark.parametrize("depth", DEEP)
def test_a_known_field_may_not(app: Flask, depth: int) -> None:
    body = b'{"movieTitle": "x", "env": {"city": %s}}' % nested(depth)
    answered = app.test_client().post("/inference/log", data=body)
    assert answered.status_code == 400
    if depth > strict_json.MAX_DEPTH:
        assert "nested deeper than 64 levels" in answered.text


@pytest.mark.parametrize("depth", [2, 62, 64, 66, 1_024, 20_000])
@pytest.mark.parametrize(
    "inside",
    [b"", b"1 2", b"]", b"[", b"}", b'"', b'"\\"', b"\\", b"NaN", b"{1: 2}", b"[}", b"[]]", b"{]}"],
)
def test_what_is_not_json_is_refused_however_deep(depth: int, inside: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^Invalid JSON$"):
        strict_json.check(strict_json.parse(b'{"a": %s}' % nested(depth, inside)), {})


@pytest.mark.parametrize("name", [b"\\u0000", b"a\\u0000b"])
def test_an_unknown_field_may_have_nul_in_its_name(app: Flask, name: bytes) -> None:
    odd = b'"%s": {"%s": 1}' % (name, name)
    for fields in (odd, b'"environment": {%s}, %s' % (odd, odd)):
        for body in (b"{%s}" % fields, ENVELOPE % (b"inference-reading", fields, b"{%s}" % odd)):
            answered = app.test_client().post("/inference/reading", data=body)
            assert answered.status_code == 200, answered.text


@given(st.dictionaries(st.text(max_size=5), st.text(), max_size=5))
def test_text_that_can_be_stored_comes_through(sent: dict[str, str]) -> None:
    def good(text: str) -> bool:
        return strict_json.text_problem(text) is None

    wanted = all(good(name) and good(value) for name, value in sent.items())
    try:
        assert read(json.dumps(sent).encode()) == sent
    except InvalidInputError:
        assert not wanted
    else:
        assert wanted


@pytest.mark.parametrize("number", ["22", "22.50", "-0", "1e2", "1E+2", "0.10", "9" * 200])
def test_a_number_keeps_its_text(number: str) -> None:
    assert read(b'{"a": [%s]}' % number.encode()) == {"a": [number]}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b'{"lat": NaN}', "lat", "NaN is not JSON"),
        (b'{"a": [0, -Infinity]}', "a.1", "-Infinity is not JSON"),
        (b'{"env": {"lat": 1e999}}', "env.lat", "an infinite number"),
        (b'{"limit": %s}' % (b"9" * 5000), "limit", "a number longer than 200 characters"),
        (b'{"text": "a\\u0000b"}', "text", "must not contain NUL characters"),
        (b'{"movies": ["\\ud800"]}', "movies.0", "must not contain lone surrogates"),
        (b'{"env": {"\\u0000": 1}}', "env", "a name must not contain NUL characters"),
        (b'{"whose name is this": "\\u0000"}', "?", "must not contain NUL characters"),
    ],
)
def test_it_names_the_field_and_what_is_wrong(body: bytes, field: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(body)
    assert caught.value.problems == (FieldProblem(field, message),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b'{"a": 01}',
        b"{}{}",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"1",
        b"null",
    ],
)
def test_it_takes_nothing_but_an_object_in_utf_8(body: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^Invalid JSON$"):
        strict_json.parse(body)


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"]
)
def test_it_bounds_the_depth(opening: bytes, closing: bytes) -> None:
    def body(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + b"0" + closing * (depth - 1) + b"}"

    assert read(body(strict_json.MAX_DEPTH))
    with pytest.raises(InvalidInputError) as caught:
        read(body(strict_json.MAX_DEPTH + 1))
    assert caught.value.problems[0].message == "nested deeper than 64 levels"


def test_looking_at_a_long_list_takes_no_memory_of_its_own() -> None:
    parsed = strict_json.parse(b'{"a": [' + b"[]," * 100_000 + b"1]}")
    tracemalloc.start()
    try:
        strict_json.check(parsed)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()
