"""Clips to listen to: voices of Debian's espeak-ng, in the containers that browsers record."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from functools import cache

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 16_000
# pitch, words a minute
CALM, USUAL, LIVELY = (10, 110), (50, 170), (99, 250)
SENTENCE = "I do not know what to say, it was quite a day and now we are going to the cinema."
KOREAN = "오늘은 정말 긴 하루였어요. 이제 다 같이 영화를 보러 갈 거예요."


@cache
def speech(manner: tuple[int, int] = USUAL, voice: str = "en-us", text: str = SENTENCE) -> bytes:
    """A WAV as espeak-ng writes it: 22,050 Hz, with half a second of silence at the end."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here: apt-get install espeak-ng")
    pitch, speed = map(str, manner)
    done = subprocess.run(
        ["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "--stdout", text],
        capture_output=True,
        check=True,
    )
    # espeak-ng cannot know how long it will be when it writes the header to a pipe.
    with wave.open(io.BytesIO(done.stdout)) as spoken:
        rate = spoken.getframerate()
        samples = np.frombuffer(spoken.readframes(2**28), "<i2")
    return wav(np.pad(samples, (0, rate // 2)) / np.float32(32_768), rate)


def samples(data: bytes) -> tuple[Samples, int]:
    with wave.open(io.BytesIO(data)) as spoken:
        frames = np.frombuffer(spoken.readframes(spoken.getnframes()), "<i2")
        return frames / np.float32(32_768), spoken.getframerate()


def wav(sound: NDArray[np.floating], rate: int = RATE, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        loud = (np.clip(sound, -1, 1) * 32_767).astype("<i2")
        file.writeframes(np.repeat(loud, channels).tobytes())
    return out.getvalue()


def encoded(data: bytes, container: str, codec: str, rate: int = 48_000, **options: str) -> bytes:
    """The same clip as a browser would send it."""
    sound, own_rate = samples(data)
    out = io.BytesIO()
    with av.open(out, "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = own_rate
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return out.getvalue()


@cache
def recorded(by: str, data: bytes) -> bytes:
    """What each browser's MediaRecorder makes of a clip."""
    if by == "chrome":
        return encoded(data, "webm", "libopus")
    if by == "firefox":
        return encoded(data, "ogg", "libopus")
    moov_first = "frag_keyframe+empty_moov+default_base_moof"
    return encoded(data, "mp4", "aac", movflags=moov_first, frag_duration="500000")
