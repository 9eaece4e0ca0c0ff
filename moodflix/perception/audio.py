"""Decodes a recorded clip: WAV by itself, WebM, MP4, Ogg and MP3 through PyAV (``[voice]``)."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MAX_SECONDS: Final = 15.0
_OUTPUT_RATE = 16_000
_INPUT_RATES = range(8_000, 192_001)
# Bytes of a sample.
_PCM16 = 2
_FULL_SCALE = 32_768
# How the files of each format begin: the type that a client declares can't be trusted, and without
# a format FFmpeg would follow playlists.
_FORMATS = {
    re.compile(rb"\x1aE\xdf\xa3"): "matroska",
    re.compile(rb".{4}ftyp", re.DOTALL): "mp4",
    re.compile(rb"OggS"): "ogg",
    re.compile(rb"RIFF.{4}WAVE", re.DOTALL): "wav",
    re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"): "mp3",
}
_CODECS = "opus libopus vorbis aac mp3float mp3 flac alac pcm_s16le pcm_s24le pcm_f32le".split()
# Offsets of the number of units in these boxes of an MP4: FFmpeg allocates memory for all units at
# once, which would be gigabytes for a false number.
_COUNT_OFFSETS = {b"stsz": 8, b"trun": 4}
_MAX_UNITS = 1_000_000


class ClipError(Exception):
    """A clip that can't be read; the message is ``bad_audio`` or ``extra_missing``."""


def decode(data: bytes, seconds: float = MAX_SECONDS) -> tuple[Samples, int]:
    """Return the first ``seconds`` as mono samples, -1 to 1, and their rate in Hz.

    The first bytes decide the format. A clip that breaks off is decoded up to there.

    Raises:
        ClipError: ``bad_audio``: it is not audio of a known format, or nothing can be decoded;
            ``extra_missing``: PyAV is needed and not installed.
    """
    name = next((name for start, name in _FORMATS.items() if start.match(data)), None)
    if name is None:
        raise ClipError("bad_audio")
    if name == "wav" and (decoded := _wav(data, seconds)):
        return decoded
    if name == "mp4" and sum(_unit_counts(data)) > _MAX_UNITS:
        raise ClipError("bad_audio")
    return _decode_with_pyav(data, name, seconds), _OUTPUT_RATE


def _wav(data: bytes, seconds: float) -> tuple[Samples, int] | None:
    """Decode 16-bit PCM; return ``None`` for other kinds of WAV."""
    import numpy as np

    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate, *_ = file.getparams()
            body = file.readframes(int(seconds * rate))
    except (wave.Error, EOFError, RuntimeError):
        # RuntimeError: a chunk that ends after the file.
        return None
    if width != _PCM16 or rate not in _INPUT_RATES:
        return None
    whole = np.frombuffer(body, "<i2", len(body) // (2 * channels) * channels)
    samples = (whole.reshape(-1, channels).mean(axis=1) / _FULL_SCALE).astype(np.float32)
    length = len(samples) * _OUTPUT_RATE // rate
    if rate <= _OUTPUT_RATE or not length:
        return samples, rate
    # Downsample: frequencies above 8 kHz are not used, and cost time and memory.
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return (np.fft.irfft(spectrum, length) * (length / len(samples))).astype(
        np.float32
    ), _OUTPUT_RATE


def _unit_counts(data: bytes) -> Iterator[int]:
    for box in re.finditer(b"|".join(_COUNT_OFFSETS), data):
        start = box.end() + _COUNT_OFFSETS[box[0]]
        yield int.from_bytes(data[start : start + 4], "big")


def _decode_with_pyav(data: bytes, name: str, seconds: float) -> Samples:
    import numpy as np

    try:
        import av
    except ImportError:
        raise ClipError("extra_missing") from None
    pieces: list[Samples] = []
    wanted, decoded = int(seconds * _OUTPUT_RATE), 0
    try:
        options = {"codec_whitelist": ",".join(_CODECS), "protocol_whitelist": "none"}
        with av.open(io.BytesIO(data), format=name, options=options) as container:
            stream = next(iter(container.streams.audio), None)
            codec = stream.codec_context if stream else None
            if stream is None or codec is None or codec.name not in _CODECS:
                raise ClipError("bad_audio")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=_OUTPUT_RATE)
            for frame in container.decode(stream):
                # A false rate would allocate a filter of a gigabyte.
                if frame.sample_rate not in _INPUT_RATES:
                    break
                new = [part.to_ndarray()[0] for part in resampler.resample(frame)]
                pieces += new
                decoded += sum(map(len, new))
                if decoded >= wanted:
                    break
    except (av.error.FFmpegError, ValueError):
        # What was read before the clip broke off is used.
        pass
    if not pieces:
        raise ClipError("bad_audio")
    return np.nan_to_num(np.concatenate(pieces)[:wanted], posinf=0, neginf=0)
