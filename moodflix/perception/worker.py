"""Reads frames and clips in a separate process.

The nets and decoders hold the GIL for half a second, during which logs would wait. A damaged file
that crashes a decoder written in C ends that process alone.
"""

from __future__ import annotations

import atexit
import logging
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from moodflix.perception.base64_media import decode
from moodflix.perception.words import Reading
from moodflix.vocabulary import FACE, VOICE

# For all that one request sends, the wait for earlier requests included.
SECONDS = 10.0
# Bytes for one request, on top of what the idle process uses.
_MEMORY: Final = 300_000_000
_CHILD_CODE: Final = (
    "import sys; from moodflix.perception import worker; worker.serve(int(sys.argv[1]))"
)
# The matrices are too small for threads, which would spin idle.
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

logger = logging.getLogger(__name__)


class MediaWorker:
    """Reads frames and clips, one at a time, in a worker process that starts at first use."""

    def __init__(self) -> None:
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="perception")
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        atexit.register(self._stop)

    def read(self, images: Sequence[str], audio: str | None) -> dict[str, Reading]:
        """Return the reading of frames and of a clip, both base64; absent ones are left out.

        ``missing`` is ``failed`` where reading broke off or took too long.
        """
        sent = {FACE: list(images), VOICE: audio}
        pending = {
            name: self._queue.submit(self._read_in_worker, name, media)
            for name, media in sent.items()
            if media
        }
        end = time.monotonic() + SECONDS
        return {name: _result(future, end - time.monotonic()) for name, future in pending.items()}

    def _read_in_worker(self, name: str, media: Any) -> Reading:
        # Kills a worker that hangs, which ends the wait for its answer.
        limit = threading.Timer(SECONDS, self._kill)
        limit.start()
        try:
            connection = self._running_worker()
            connection.send((name, media))
            read: Reading = connection.recv()
        except (EOFError, OSError) as error:
            self._stop()
            logger.warning("reading a %s broke off: %s", name, type(error).__name__)
            return Reading(missing="failed")
        finally:
            limit.cancel()
        return read

    def _running_worker(self) -> Connection:
        if self._process and self._connection and self._process.poll() is None:
            return self._connection
        self._stop()
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own code
                [sys.executable, "-c", _CHILD_CODE, str(theirs.fileno())],
                env=os.environ | _ONE_THREAD,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the parent; the worker ends with its connection.
                start_new_session=True,
            )
        return self._connection

    def _kill(self) -> None:
        if self._process:
            self._process.kill()

    def _stop(self) -> None:
        if self._connection:
            self._connection.close()
        if self._process:
            self._kill()
            self._process.wait()
        self._process = self._connection = None


def _result(future: Future[Reading], seconds: float) -> Reading:
    try:
        return future.result(max(seconds, 0))
    except futures.TimeoutError:
        future.cancel()
        return Reading(missing="failed")


def serve(descriptor: int) -> None:
    """Answer requests on the connection until it is closed."""
    from moodflix.perception.face import nets_problem

    nets_problem()  # loads the nets
    idle = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (idle + _MEMORY, resource.RLIM_INFINITY))
    with Connection(descriptor) as connection:
        while True:
            try:
                name, media = connection.recv()
            except EOFError:
                return
            connection.send(_read(name, media))


def _read(name: str, media: Any) -> Reading:
    from moodflix.perception.face import read as read_faces
    from moodflix.perception.voice import read as read_voice

    try:
        if name == FACE:
            return read_faces([_decoded(text) for text in media])
        return read_voice(_decoded(media))
    except Exception as error:  # noqa: BLE001 - one request fails, not the process
        # The message may quote what was sent.
        logger.warning("a %s can't be read: %s", name, type(error).__name__)
        return Reading(missing="failed")


def _decoded(text: str) -> bytes:
    """Decode base64; anything else counts as a damaged file."""
    try:
        return decode(text)
    except ValueError:
        return b""
