"""Reads from a voice how aroused a person is, with NumPy alone and at any recording level.

Four cues that rise with arousal in most studies of acted and natural speech (Banse & Scherer 1996,
J Pers Soc Psychol 70:614; Juslin & Laukka 2003, Psychol Bull 129:770), added up by a fixed rule as
in Bone, Lee & Narayanan 2014 (IEEE Trans Affect Comput 5:201): energy at 1-5 kHz over 50-1000 Hz
(alpha ratio; Eyben et al. 2016, IEEE Trans Affect Comput 7:190), pitch, its spread, and syllables a
second. Joy and anger sound alike to such a rule: both are ``excited``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moodflix.perception.audio import ClipError, decode
from moodflix.perception.words import Reading
from moodflix.vocabulary import NEUTRAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]

# Arousal above which a voice is excited; below its negative it is subdued.
LABEL_THRESHOLD: Final = 0.3
# Slope of a tone's logistic score around that arousal.
_SLOPE = 0.1
_MIN_SECONDS = 1.0
# Least seconds of voice, and signal-to-noise ratio in dB; from the second value on they no longer
# lower the confidence.
_MIN_VOICED, _ENOUGH_VOICED = 0.4, 1.5
_MIN_SNR, _CLEAR_SNR = 10.0, 25.0
# Seconds: the window that YIN compares, and from one frame to the next.
_WINDOW, _HOP = 0.025, 0.01
# In Hz.
_MIN_PITCH, _MAX_PITCH = 65.0, 500.0
# YIN: the first dip below the first value is the pitch; without one below the second there is none.
_DIP_THRESHOLD, _VOICED_THRESHOLD = 0.15, 0.25
# Power of quiet frames, as a share of the loudest (-25 dB), and of silence (-96 dB of full scale).
_QUIET, _SILENCE = 10**-2.5, 2.5e-10
# Hz: between a typical man's voice and a typical woman's.
_TYPICAL_PITCH = 155.0
# dB: vowels and consonants differ by more, the notes of an instrument by less.
_MIN_TIMBRE = 4.0
_BANDS = ((50, 1000), (1000, 5000))
# No rule of thumb earns full confidence.
_MAX_CONFIDENCE = 0.8
_MAX_Z = 2.0
# dB: the least dip between two syllables, and how far below the median a syllable may be.
_MIN_DIP, _MAX_BELOW_MEDIAN = 2.0, 6.0


@dataclass(frozen=True)
class _Cue:
    """Usual value in calm speech, how far excited speech is from it, and the cue's weight."""

    usual: float
    spread: float
    weight: float

    def z(self, value: float) -> float:
        """Return the weighted z-score of a value, limited to ``_MAX_Z``."""
        return self.weight * min(max((value - self.usual) / self.spread, -_MAX_Z), _MAX_Z)


_ALPHA = _Cue(-10, 6, 0.35)  # dB
_PITCH = _Cue(0, 7, 0.35)  # semitones over _TYPICAL_PITCH
_RANGE = _Cue(5, 4, 0.15)  # semitones from the 20th to the 80th percentile
_PACE = _Cue(4, 1.5, 0.15)  # syllables a second of speech


def read(data: bytes) -> Reading:
    """Score the tones ``excited``, ``subdued`` and ``neutral`` of a recorded clip.

    ``details`` has ``arousal`` (-1 to 1; tones change at +-0.3), ``seconds`` and
    ``voiced_seconds``. Confidence grows with the signal-to-noise ratio (full at 25 dB) and the
    voiced time (1.5 s). ``missing`` is ``bad_audio`` or ``extra_missing``, without scores, or the
    reason for a ``neutral`` at confidence 0: ``too_short`` (under 1 s, or 0.4 s voiced),
    ``too_noisy`` (under 10 dB) or ``no_speech``.
    """
    try:
        samples, rate = decode(data)
    except ClipError as error:
        return Reading(missing=str(error))
    seconds = len(samples) / rate
    missing, voiced, arousal, confidence = "too_short", 0.0, 0.0, 0.0
    if seconds >= _MIN_SECONDS:
        missing, voiced, arousal, confidence = _measure(samples, rate)
    scores = {NEUTRAL: 1.0}
    if not missing:
        scores = {"excited": _tone_score(arousal), "subdued": _tone_score(-arousal)}
        scores[NEUTRAL] = 1 - sum(scores.values())
    measured = {"arousal": arousal, "seconds": seconds, "voiced_seconds": voiced}
    details = {name: round(value, 2) for name, value in measured.items()}
    return Reading(scores, confidence, missing, details)


def _tone_score(arousal: float) -> float:
    """Return the score of ``excited`` for an arousal; for its negative, that of ``subdued``."""
    return 1 / (1 + math.exp((LABEL_THRESHOLD - arousal) / _SLOPE))


def _measure(samples: Array, rate: int) -> tuple[str, float, float, float]:
    """Return why nothing can be read (else empty), seconds of voice, arousal and confidence."""
    import numpy as np

    power, spectrum, pitch = _frames(samples, rate)
    floor, top = np.maximum(np.percentile(power, (10, 95)), _SILENCE)
    loud = power > max(top * _QUIET, _SILENCE)
    spoken = loud & (pitch > 0)
    voiced = float(spoken.sum()) * _HOP
    level = power[spoken if spoken.any() else loud]
    if not level.size:
        return "no_speech", voiced, 0.0, 0.0
    snr = 10 * math.log10(level.mean() / floor)
    if snr < _MIN_SNR:
        return "too_noisy", voiced, 0.0, 0.0
    if voiced < _MIN_VOICED:
        return "too_short" if voiced else "no_speech", voiced, 0.0, 0.0
    noise = spectrum[np.argsort(power)[: len(power) // 10]].mean(axis=0)
    alpha, timbre = _alpha_ratio(np.maximum(spectrum[spoken] - noise, 0), rate)
    if timbre < _MIN_TIMBRE:
        return "no_speech" if snr > _CLEAR_SNR else "too_noisy", voiced, 0.0, 0.0
    semitones = 12 * np.log2(pitch[spoken] / _TYPICAL_PITCH)
    low, middle, high = np.percentile(semitones, (20, 50, 80))
    pace = _syllables(power, spoken) / (float(loud.sum()) * _HOP)
    cues = ((_ALPHA, alpha), (_PITCH, middle), (_RANGE, high - low), (_PACE, pace))
    clarity = min((snr - _MIN_SNR) / (_CLEAR_SNR - _MIN_SNR), 1)
    confidence = _MAX_CONFIDENCE * clarity * min(voiced / _ENOUGH_VOICED, 1)
    return "", voiced, math.tanh(sum(cue.z(float(value)) for cue, value in cues)), confidence


def _alpha_ratio(spectrum: Array, rate: int) -> tuple[float, float]:
    """Return energy at 1-5 kHz over 50-1000 Hz, and its spread between frames, in dB."""
    import numpy as np

    hertz = np.linspace(0, rate / 2, spectrum.shape[1])
    low, high = (
        spectrum[:, (hertz >= start) & (hertz < end)].sum(axis=1) + 1e-20 for start, end in _BANDS
    )
    by_frame = np.clip(10 * np.log10(high / low), -40, 20)
    return 10 * math.log10(high.sum() / low.sum()), float(by_frame.std())


def _syllables(power: Array, spoken: NDArray[np.bool_]) -> int:
    """Count voiced peaks of loudness with dips of 2 dB between (de Jong & Wempe 2009)."""
    import numpy as np

    smooth = np.convolve(power, np.hanning(9) / np.hanning(9).sum(), "same")
    level = 10 * np.log10(smooth + _SILENCE)
    floor = np.median(level[spoken]) - _MAX_BELOW_MEDIAN
    count, rising, extreme, voiced = 0, False, level[0], False
    for value, is_voiced in zip(level, spoken & (level > floor), strict=True):
        extreme = max(extreme, value) if rising else min(extreme, value)
        if abs(value - extreme) > _MIN_DIP:
            count += rising and voiced
            rising, extreme, voiced = not rising, value, False
        voiced |= bool(is_voiced)
    return count + (rising and voiced)


def _frames(samples: Array, rate: int) -> tuple[Array, Array, Array]:
    """Return power (by frame), spectrum (by frame and bin) and pitch in Hz (by frame, 0: none)."""
    import numpy as np

    window = int(_WINDOW * rate)
    length = window + int(rate / _MIN_PITCH) + 1
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: int(_HOP * rate)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(length))) ** 2
    return (frames**2).mean(axis=1), spectrum, _pitch(frames, window, rate)


def _pitch(frames: Array, window: int, rate: int) -> Array:
    """Return the pitch of each frame in Hz, 0 for none: YIN (de Cheveigne & Kawahara 2002)."""
    import numpy as np

    lags = frames.shape[1] - window
    size = 1 << (frames.shape[1] - 1).bit_length()
    product = np.fft.rfft(frames, size) * np.fft.rfft(frames[:, :window], size).conj()
    correlation = np.fft.irfft(product, size)[:, :lags]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    energy = energy[:, window:] - energy[:, : energy.shape[1] - window]
    difference = np.maximum(energy[:, :1] + energy[:, :lags] - 2 * correlation, 0)
    difference[:, 0] = 0
    mean = np.cumsum(difference, axis=1) / np.maximum(np.arange(lags), 1)
    difference = np.where(mean > 0, difference / np.maximum(mean, 1e-20), 1.0)
    first = int(rate / _MAX_PITCH)
    inner = difference[:, first : lags - 1]
    dip = (inner < difference[:, first - 1 : lags - 2]) & (inner <= difference[:, first + 1 :])
    early = dip & (inner < _DIP_THRESHOLD)
    lag = np.where(early.any(axis=1), early.argmax(axis=1), inner.argmin(axis=1)) + first
    rows = np.arange(len(frames))
    before, here, after = (difference[rows, lag + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend > 0, (before - after) / np.maximum(2 * bend, 1e-20), 0)
    return np.where(here < _VOICED_THRESHOLD, rate / (lag + np.clip(shift, -0.5, 0.5)), 0)
