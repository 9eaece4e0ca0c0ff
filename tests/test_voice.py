from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from moodflix.perception import voice
from moodflix.perception.words import Reading
from tests import voices
from tests.voices import CALM, LIVELY, RATE, USUAL

SPEAKERS = (("en-us", voices.SENTENCE), ("en-gb", voices.SENTENCE), ("ko", voices.KOREAN))


def arousal(read: Reading) -> float:
    found: float = read.details["arousal"]
    return found


def noise(length: int, *, pink: bool) -> NDArray[np.floating]:
    spectrum: NDArray[np.complexfloating] = np.fft.rfft(
        np.random.default_rng(5).standard_normal(length)
    )
    if pink:
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    sound = np.fft.irfft(spectrum, length)
    return np.asarray(sound / np.abs(sound).max())


def note(
    hertz: float, seconds: float, harmonics: int, *, vibrato: float = 0
) -> NDArray[np.floating]:
    time = np.arange(int(seconds * RATE)) / RATE
    bend = 1 + vibrato * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * hertz * np.cumsum(bend) / RATE
    sound = sum(0.8**k * np.sin((k + 1) * phase) for k in range(harmonics))
    fade = np.minimum(1, np.minimum(time, seconds - time) / 0.03)
    return np.asarray(sound * fade * np.exp(-time))


def tune(harmonics: int, vibrato: float, gap: float) -> NDArray[np.floating]:
    scale = (262, 330, 392, 523, 440, 349, 294, 494)
    rest = np.zeros(int(gap * RATE))
    parts = [
        part for hertz in scale for part in (note(hertz, 0.4, harmonics, vibrato=vibrato), rest)
    ]
    sound = np.concatenate(parts)
    return np.asarray(sound / np.abs(sound).max())


@pytest.mark.parametrize(("speaker", "text"), SPEAKERS)
def test_it_tells_a_lively_voice_from_a_calm_one(speaker: str, text: str) -> None:
    calm, usual, lively = (
        voice.read(voices.speech(manner, speaker, text)) for manner in (CALM, USUAL, LIVELY)
    )
    assert (calm.label, usual.label, lively.label) == ("subdued", "neutral", "excited")
    for read in (calm, usual, lively):
        assert read.confidence > 0.5
        assert read.missing == ""
        assert sum(read.scores.values()) == pytest.approx(1)
        assert -1 <= arousal(read) <= 1
    assert arousal(calm) < -0.3 < arousal(usual) < 0.3 < arousal(lively)


@pytest.mark.parametrize("speaker", ["en-us+f3", "en-us+m7", "ko+f2", "en-gb+f4"])
def test_each_voice_sounds_more_aroused_the_higher_and_faster_it_speaks(speaker: str) -> None:
    manners = (CALM, (30, 140), USUAL, (70, 200), LIVELY)
    heard = [arousal(voice.read(voices.speech(manner, speaker))) for manner in manners]
    assert heard == sorted(heard)
    assert heard[-1] - heard[0] > 0.4


@pytest.mark.parametrize("by", ["chrome", "firefox", "safari"])
@pytest.mark.parametrize("manner", [CALM, USUAL, LIVELY])
def test_what_a_browser_records_sounds_the_same(by: str, manner: tuple[int, int]) -> None:
    spoken = voices.speech(manner)
    expected, got = voice.read(spoken), voice.read(voices.recorded(by, spoken))
    assert got.label == expected.label
    assert arousal(got) == pytest.approx(arousal(expected), abs=0.05)


@pytest.mark.parametrize("gain", [0.005, 0.05, 1, 3, 10])
@pytest.mark.parametrize("manner", [CALM, USUAL, LIVELY])
def test_the_level_does_not_matter_nor_does_clipping(gain: float, manner: tuple[int, int]) -> None:
    sound, rate = voices.samples(voices.speech(manner))
    expected, got = (voice.read(voices.wav(each, rate)) for each in (sound, sound * gain))
    assert got.label == expected.label
    assert arousal(got) == pytest.approx(arousal(expected), abs=0.03 if gain <= 1 else 0.12)


@pytest.mark.parametrize("manner", [CALM, LIVELY])
def test_noise_takes_confidence_before_it_changes_the_tone(manner: tuple[int, int]) -> None:
    sound, rate = voices.samples(voices.speech(manner))
    clear = voice.read(voices.wav(sound / 2, rate))
    sure = [clear.confidence]
    for decibels in (30, 20, 15, 10):
        scale = np.sqrt((sound**2).mean() / 10 ** (decibels / 10))
        rustle = noise(len(sound), pink=True)
        noisy = sound + rustle * scale / np.sqrt((rustle**2).mean())
        read = voice.read(voices.wav(noisy / 2, rate))
        assert arousal(read) == pytest.approx(arousal(clear), abs=0.2)
        sure.append(read.confidence)
    assert sure == sorted(sure, reverse=True)
    assert sure[-1] < 0.6 * sure[0]


def test_speech_that_drowns_in_noise_is_not_judged() -> None:
    sound, rate = voices.samples(voices.speech(LIVELY))
    rustle = noise(len(sound), pink=False)
    noisy = sound + rustle * np.sqrt((sound**2).mean() / (rustle**2).mean())
    read = voice.read(voices.wav(noisy / 4, rate))
    assert (read.label, read.confidence, read.missing) == ("neutral", 0, "too_noisy")


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (np.zeros(4 * RATE), "no_speech"),
        (np.full(4 * RATE, 0.5), "no_speech"),
        (noise(4 * RATE, pink=True), "too_noisy"),
        (noise(4 * RATE, pink=False), "too_noisy"),
        (0.01 * noise(4 * RATE, pink=True), "too_noisy"),
        (np.sin(np.arange(4 * RATE) / 6), "too_noisy"),
        (np.sign(np.sin(np.arange(4 * RATE) / 6)), "too_noisy"),
        (np.pad(note(300, 0.3, 8), RATE), "too_short"),
        (tune(8, 0, 0.1), "no_speech"),
        (tune(20, 0, 0.2), "no_speech"),
        (tune(1, 0, 0.1), "no_speech"),
        (tune(10, 0.02, 0.1), "no_speech"),
        (tune(8, 0, 0), "too_noisy"),
    ],
    ids="silence offset pink white faint sine square note organ reed whistle violin legato".split(),
)
def test_what_is_no_speech_is_neutral_at_confidence_0(
    sound: NDArray[np.floating], why: str
) -> None:
    read = voice.read(voices.wav(sound))
    assert (dict(read.scores), read.confidence, read.missing) == ({"neutral": 1.0}, 0, why)
    assert arousal(read) == 0
    assert read.details["seconds"] == round(len(sound) / RATE, 2)


def test_half_a_second_is_too_short() -> None:
    sound, rate = voices.samples(voices.speech(LIVELY))
    assert voice.read(voices.wav(sound[: rate // 2], rate)).missing == "too_short"
    assert voice.read(voices.wav(np.zeros(0), rate)).missing == "too_short"


def test_it_is_surer_of_a_longer_clip() -> None:
    sound, rate = voices.samples(voices.speech(CALM))
    sure = [voice.read(voices.wav(sound[: int(s * rate)], rate)).confidence for s in (1.2, 2, 5)]
    assert 0 < sure[0] < sure[1] < sure[2]


def test_a_picture_is_bad_audio() -> None:
    assert voice.read(b"\xff\xd8\xff\xe0" + bytes(900)) == Reading(missing="bad_audio")


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = voices.speech()
    recorded = voices.recorded("chrome", spoken)
    monkeypatch.setitem(sys.modules, "av", None)
    assert voice.read(recorded) == Reading(missing="extra_missing")
    assert voice.read(spoken).label == "neutral"
    assert voice.read(spoken).confidence > 0.5
