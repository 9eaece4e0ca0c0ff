from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.framing import MAX_HEADER, Framing, State

MAX_BODY = 1000
BODY = b"x" * 40
CASES = {
    b"GET / HTTP/1.1\r\n\r\n": State.WHOLE,
    b"GET / HTTP/1.1\r\nHost: a\r\n": State.PARTIAL,
    b"": State.PARTIAL,
    b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\n" + BODY: State.WHOLE,
    b"POST / HTTP/1.1\r\ncontent-LENGTH:41 \r\n\r\n" + BODY: State.PARTIAL,
    b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n": State.LAST,
    b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd": State.LAST,
    b"POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\nabcd": State.LAST,
    b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n": State.LAST,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": State.LAST,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n": State.WHOLE,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n": (
        State.WHOLE
    ),
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n": State.PARTIAL,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde": State.BAD_CHUNK,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\n": State.BAD_CHUNK,
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;" + b"a" * 300: State.BAD_CHUNK,
    b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEADER: State.HEADER_TOO_LARGE,
}


@pytest.mark.parametrize(("data", "state"), CASES.items())
def test_what_has_arrived(data: bytes, state: State) -> None:
    assert Framing(MAX_BODY).state(data) is state


@given(st.sampled_from(list(CASES)), st.lists(st.integers(0, 400)))
def test_it_does_not_matter_in_which_pieces_it_arrives(data: bytes, cuts: list[int]) -> None:
    framing, state = Framing(MAX_BODY), State.PARTIAL
    for end in sorted({*cuts, len(data)}):
        if state is State.PARTIAL:
            state = framing.state(data[:end])
    assert state is CASES[data]


@given(st.lists(st.binary(max_size=60), max_size=5), st.binary(max_size=20))
def test_chunks_end_where_they_end(parts: list[bytes], more: bytes) -> None:
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in [*filter(None, parts), b""]]
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"".join(chunks)
    assert Framing(MAX_BODY).state(whole + more) is State.WHOLE
    assert Framing(MAX_BODY).state(whole[:-1]) is State.PARTIAL


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    framing = Framing(MAX_BODY)
    states = [framing.state(data[:end]) for end in range(len(data) + 1)]
    # Without an empty line no header ends, so nothing can be refused.
    assert b"\r\n\r\n" in data or set(states) == {State.PARTIAL}
