"""Where a request ends in the bytes of a connection (RFC 9112, sections 6 and 7)."""

from __future__ import annotations

import enum
import re
from typing import Final

MAX_HEADER: Final = 64 * 1024
#: Bytes of a body; the app answers a longer one with 413.
MAX_BODY: Final = 16 * 1024 * 1024
# A chunk's size in hex; its extensions are ignored, and a long line of them is refused.
_CHUNK: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?")
_MAX_CHUNK_LINE: Final = 256
_MAX_TRAILER: Final = 4 * 1024
_END: Final = b"\r\n\r\n"


class State(enum.Enum):
    """What has arrived of a request."""

    PARTIAL = enum.auto()
    WHOLE = enum.auto()
    #: Enough for the app to refuse it; the connection can't be used for another request.
    LAST = enum.auto()
    BAD_CHUNK = enum.auto()
    HEADER_TOO_LARGE = enum.auto()


class Framing:
    """Follows the bytes of one request, each looked at once.

    Attributes:
        awaits_continue: the client sends the body only after a ``100 Continue``.
    """

    def __init__(self, max_body: int = MAX_BODY) -> None:
        """Expect a body of at most ``max_body`` bytes; a longer one need not arrive."""
        self.awaits_continue = False
        self._max_body = max_body
        # Bytes before it were looked at; once in the body, its next chunk begins here.
        self._at = 0
        self._end: int | None = None
        self._is_chunked = False

    def state(self, data: bytes | bytearray) -> State:
        """Return how much of the request is in ``data``, which holds all bytes received so far."""
        if self._end is None and not self._is_chunked:
            found = self._read_header(data)
            if found is not State.WHOLE:
                return found
        if self._is_chunked:
            return self._read_chunks(data)
        return State.WHOLE if self._end is not None and len(data) >= self._end else State.PARTIAL

    def _read_header(self, data: bytes | bytearray) -> State:
        """Return ``WHOLE`` once the header is there and the body's framing is known."""
        end = data.find(_END, max(self._at - len(_END), 0))
        if max(end, len(data) if end < 0 else 0) > MAX_HEADER:
            return State.HEADER_TOO_LARGE
        if end < 0:
            self._at = len(data)
            return State.PARTIAL
        self._at = end + len(_END)
        fields: dict[bytes, bytes] = {}
        for line in bytes(data[:end]).split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            name = name.strip().lower()
            fields[name] = b",".join(filter(None, (fields.get(name), value.strip())))
        length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
        self.awaits_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        if coding is not None:
            self._is_chunked = coding.lower() == b"chunked" and length is None
            return State.WHOLE if self._is_chunked else State.LAST
        if length is not None and not (length.isdigit() and len(length) < len(str(2**63))):
            return State.LAST
        self._end = self._at + int(length or 0)
        return State.LAST if self._end - self._at > self._max_body else State.WHOLE

    def _read_chunks(self, data: bytes | bytearray) -> State:
        while True:
            line_end = data.find(b"\r\n", self._at, self._at + _MAX_CHUNK_LINE)
            if line_end < 0:
                too_long = len(data) - self._at >= _MAX_CHUNK_LINE
                return State.BAD_CHUNK if too_long else State.PARTIAL
            size = _CHUNK.fullmatch(data, self._at, line_end)
            if size is None:
                return State.BAD_CHUNK
            if int(size[1], 16) == 0:
                return self._read_trailer(data, line_end)
            after = line_end + 2 + int(size[1], 16)
            if after > self._max_body + MAX_HEADER:
                return State.LAST if len(data) > self._max_body + MAX_HEADER else State.PARTIAL
            if len(data) < after + 2:
                return State.PARTIAL
            if data[after : after + 2] != b"\r\n":
                return State.BAD_CHUNK
            self._at = after + 2

    def _read_trailer(self, data: bytes | bytearray, line_end: int) -> State:
        end = data.find(_END, line_end, line_end + _MAX_TRAILER)
        if end >= 0:
            return State.WHOLE
        return State.BAD_CHUNK if len(data) - line_end >= _MAX_TRAILER else State.PARTIAL
