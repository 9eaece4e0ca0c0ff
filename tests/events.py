"""Reads server-sent events as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from tests.server import Served

COMMENT = "comment"
STREAM = {"Accept": "text/event-stream"}


class StreamEvents(NamedTuple):
    """One event: its name and its data; a comment line has no data."""

    name: str
    data: Any = None


class Listening:
    """One streamed answer, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def everything(self) -> Iterator[StreamEvents]:
        """What comes until the end, comments included."""
        name = ""
        for line in self._lines:
            if line.startswith(":"):
                yield StreamEvents(COMMENT)
            elif line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield StreamEvents(name, json.loads(line.removeprefix("data: ")))
            else:
                assert line == "", line

    def next(self) -> StreamEvents:
        """The next event."""
        return next(event for event in self.everything() if event.name != COMMENT)

    def until(self, name: str) -> Any:
        """The data of the next event of that name."""
        return next(event.data for event in self.everything() if event.name == name)

    def rest(self) -> list[StreamEvents]:
        """The events that are left."""
        return [event for event in self.everything() if event.name != COMMENT]


@contextmanager
def listening(served: Served, body: Any) -> Iterator[Listening]:
    """Ask for a streamed answer on a connection of its own; leaving hangs up."""
    with (
        served.connect() as client,
        client.stream("POST", "/inference", json=body, headers=STREAM) as response,
    ):
        assert response.status_code == httpx.codes.OK, response.read()
        yield Listening(response)


def streamed(served: Served, body: Any) -> list[StreamEvents]:
    """All events of one streamed answer."""
    with listening(served, body) as stream:
        return stream.rest()
