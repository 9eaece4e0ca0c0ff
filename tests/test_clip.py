from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.perception import audio
from tests import voices
from tests.server import ROOT

BROWSERS = ("chrome", "firefox", "safari")
TONE = np.sin(2 * np.pi * 200 * np.arange(4 * voices.RATE) / voices.RATE) / 2
STARTS = (b"\x1aE\xdf\xa3", b"\0\0\0\x18ftypisom", b"OggS", b"ID3", b"\xff\xfb", b"")


def rejected(data: bytes) -> str:
    with pytest.raises(audio.ClipError) as refused:
        audio.decode(data)
    return str(refused.value)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_needs_no_extra(rate: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    tone = np.sin(2 * np.pi * 200 * np.arange(rate) / rate) / 2
    got, got_rate = audio.decode(voices.wav(tone, rate, channels))
    assert got_rate == min(rate, 16_000)
    assert len(got) == got_rate
    assert got.dtype == np.float32
    expected = np.sin(2 * np.pi * 200 * np.arange(got_rate) / got_rate) / 2
    assert np.abs(got - expected).max() < 0.01


@pytest.mark.parametrize("by", BROWSERS)
def test_other_containers_need_the_extra(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = voices.recorded(by, voices.wav(TONE))
    monkeypatch.setitem(sys.modules, "av", None)
    assert rejected(recorded) == "extra_missing"


@pytest.mark.parametrize(
    ("container", "codec", "start"),
    [
        ("webm", "libopus", b"\x1aE\xdf\xa3"),
        ("matroska", "libopus", b"\x1aE\xdf\xa3"),
        ("ogg", "libopus", b"OggS"),
        ("mp4", "aac", b"ftyp"),
        ("ipod", "aac", b"ftypM4A"),
        ("mp3", "libmp3lame", b"ID3"),
        ("wav", "pcm_s24le", b"RIFF"),
    ],
)
def test_it_hears_what_was_recorded(container: str, codec: str, start: bytes) -> None:
    data = voices.encoded(voices.wav(TONE), container, codec)
    assert start in data[:16]
    got, rate = audio.decode(data)
    assert len(got) / rate == pytest.approx(4, abs=0.1)
    middle = got[rate : 3 * rate] * np.hanning(2 * rate)
    assert np.abs(np.fft.rfft(middle)).argmax() == pytest.approx(400, abs=1)
    assert np.abs(got).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("by", BROWSERS)
def test_of_half_a_clip_it_takes_what_there_is(by: str) -> None:
    data = voices.recorded(by, voices.wav(TONE))
    got, rate = audio.decode(data[: len(data) // 2])
    assert 0.8 < len(got) / rate < 2.4


def test_of_half_a_wav_it_takes_what_there_is() -> None:
    data = voices.wav(TONE)
    got, rate = audio.decode(data[: len(data) // 2 + 1])
    assert len(got) / rate == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("by", [*BROWSERS, "nobody"])
def test_it_decodes_no_more_than_it_was_told(by: str) -> None:
    data = voices.wav(np.tile(TONE, 5))
    got, rate = audio.decode(data if by == "nobody" else voices.recorded(by, data))
    assert len(got) == 15 * rate


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEdata\xff\xff\xff\xff",
        b"RIFF\x14\0\0\0WAVELIST\xff\xff\0\0" + bytes(9),
        b"OggS",
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500),
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"#EXTM3U\nhttp://127.0.0.1/clip.wav",
        b"v=0\r\nm=audio 5004 RTP/AVP 0",
        b"\x1aE\xdf\xa3" + bytes(500),
        b"\0\0\0\x18ftypisom" + bytes(500),
    ],
)
def test_what_is_no_clip_is_refused(data: bytes) -> None:
    assert rejected(data) == "bad_audio"


def test_a_list_of_files_opens_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(voices.wav(TONE))
    for path in (tmp_path / "secret.wav", "secret.wav"):
        assert rejected(f"ffconcat version 1.0\nfile {path}\n".encode()) == "bad_audio"


def test_a_clip_without_sound_is_refused() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        stream = file.add_stream("ffv1", rate=10, width=16, height=16, pix_fmt="yuv420p")
        file.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        file.mux(stream.encode(None))
    assert rejected(out.getvalue()) == "bad_audio"


def false_count(data: bytes, box: bytes, at: int) -> bytes:
    place = data.index(box) + at
    return data[:place] + (2**26).to_bytes(4, "big") + data[place + 4 :]


def bomb(kind: str) -> bytes:
    tone = voices.wav(TONE)
    if kind == "samples":
        data = voices.encoded(tone, "mp4", "aac")
        # Each of one byte, so that no table of sizes has to follow.
        place = data.index(b"stsz") + 8
        return false_count(data[:place] + b"\0\0\0\1" + data[place + 4 :], b"stsz", 12)
    if kind == "fragments":
        return false_count(voices.recorded("safari", tone), b"trun", 8)
    if kind == "rate":
        rate = (16_602_658).to_bytes(4, "little")
        return voices.encoded(tone, "wav", "pcm_s16le", 16_000).replace(
            (16_000).to_bytes(4, "little"), rate
        )
    return voices.wav(np.zeros(100 * 48_000), 48_000)


@pytest.mark.parametrize("kind", ["samples", "fragments", "rate", "long"])
def test_a_clip_that_lies_costs_neither_memory_nor_time(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(bomb(kind))
    script = (
        "import resource, sys; from pathlib import Path; import av, numpy\n"
        "from moodflix.perception import voice\n"
        "data = Path(sys.argv[1]).read_bytes()\n"
        "use = lambda: resource.getrusage(resource.RUSAGE_SELF)\n"
        "before = use(); read = voice.read(data); after = use()\n"
        "print(read.confidence, (after.ru_maxrss - before.ru_maxrss) / 1024,"
        " after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    confidence, megabytes, cpu_seconds = map(float, done.stdout.split())
    assert confidence == 0
    assert megabytes < 200
    assert cpu_seconds < 2


def assert_decoded_or_refused(data: bytes) -> None:
    try:
        got, rate = audio.decode(data)
    except audio.ClipError:
        return
    assert np.isfinite(got).all()
    assert len(got) <= 15 * rate


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=300))
def test_any_bytes_are_a_clip_or_refused(start: bytes, rest: bytes) -> None:
    assert_decoded_or_refused(start + rest)


@given(st.data())
def test_any_damage_to_a_clip_leaves_a_clip_or_is_refused(draw: st.DataObject) -> None:
    by = draw.draw(st.sampled_from([*BROWSERS, "nobody"]))
    tone = voices.wav(TONE[: voices.RATE])
    data = bytearray(tone if by == "nobody" else voices.recorded(by, tone))
    # What steers a decoder stands mostly at the beginning.
    places = st.integers(0, 400) | st.integers(0, len(data) - 1)
    for place, value in draw.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        data[place] = value
    assert_decoded_or_refused(bytes(data))
