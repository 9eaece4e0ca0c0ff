"""Runs two small nets on NumPy: one detects faces, one reads their expression.

The weights are those of the npm package ``@vladmandic/face-api``, which ``npm ci`` copies into the
folder ``weights``; without them ``FileNotFoundError`` is raised. The computation follows that
package, rounding included, so that it gives the same results. Images are RGB, uint8 ``(height,
width, 3)``; maps inside the nets are float32 ``(height, width, channels)``.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WEIGHTS: Final = Path(__file__).parent / "weights"
EXPRESSIONS: Final = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
Image = NDArray[np.uint8]
Map = NDArray[np.float32]

_load_lock = threading.Lock()
# Pixels, and cells of the grid of boxes, on each side.
_DETECTOR_SIDE = 224
_GRID = 7
_DETECTOR_MEAN = np.array((117.001, 114.697, 97.404), np.float32)
# Anchor boxes: the width and height, in cells, that predicted boxes are relative to.
_ANCHORS = np.array(
    ((1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061), (4.266906, 5.178857),
     (9.041765, 10.66308))
)  # fmt: skip
_MIN_SCORE = 0.5
_MAX_OVERLAP = 0.4
_EXPRESSION_SIDE = 112
_EXPRESSION_MEAN = np.array((122.782, 117.001, 104.298), np.float32)


@dataclass(frozen=True)
class Face:
    """A face in an image: the detector's score, 0.5 to 1, and its box in pixels."""

    score: float
    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def distance_to(self, other: Face) -> float:
        """Return the distance between the middles of two faces, in sizes of this one."""
        across = other.x + other.width / 2 - self.x - self.width / 2
        down = other.y + other.height / 2 - self.y - self.height / 2
        return math.hypot(across, down) / math.sqrt(self.area)

    def overlap(self, other: Face) -> float:
        """Return the intersection over the union of the two boxes."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        shared = max(0.0, across) * max(0.0, down)
        return shared / (self.area + other.area - shared)


class _Net(dict[str, Map]):
    """The named weights of a net and the layers that use them."""

    def convolve(self, x: Map, name: str, stride: int = 1) -> Map:
        """Convolve 3x3 without padding or bias, as one product with a row for each window."""
        kernel = self[f"{name}/filters"]
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3, x.shape[2]))
        windows = windows[::stride, ::stride, 0]
        out: Map = windows.reshape(*windows.shape[:2], -1) @ kernel.reshape(-1, kernel.shape[3])
        return out

    def separable(self, x: Map, name: str, stride: int = 1) -> Map:
        """Convolve each channel 3x3, then mix the channels 1x1; padded with zeros, no bias.

        The channels of a row of pixels are one long vector, which NumPy multiplies fast.
        """
        height, width, channels = x.shape
        # As TensorFlow's "same" padding: an odd zero goes to the right and below.
        x = np.pad(x, ((2 - stride, 1), (2 - stride, 1), (0, 0)))
        across = width // stride
        kernel = np.tile(self[f"{name}/depthwise_filter"][..., 0], across)
        out = np.zeros((height // stride, across * channels), np.float32)
        for i, j in np.ndindex(3, 3):
            part = x[i : i + height : stride, j : j + width : stride]
            out += part.reshape(out.shape) * kernel[i, j]
        # Row by row: on one large product BLAS would use its threads, at five times the cost.
        mixed: Map = out.reshape(-1, across, channels) @ self[f"{name}/pointwise_filter"][0, 0]
        return mixed

    def pooled(self, x: Map, name: str) -> Map:
        """Max-pool 2x2 (a 7x7 map with stride 1), add the bias, apply a leaky ReLU."""
        step = 1 if len(x) == _GRID else 2
        odd = (0, len(x) % 2)
        x = np.pad(x, (odd, odd, (0, 0)), "edge")
        x = np.maximum(x[:-1:step], x[1::step])
        x = np.maximum(x[:, :-1:step], x[:, 1::step]) + self[f"{name}/bias"]
        leaked: Map = np.maximum(x, x * np.float32(0.1))
        return leaked

    def dense(self, x: Map, name: str) -> Map:
        """Apply a dense block: three layers, each of which adds its output to its input."""
        for layer in ("conv1", "conv2", "conv3"):
            inner = f"{name}/{layer}"
            x = x + self.separable(np.maximum(x, 0), inner) + self[f"{inner}/bias"]
        return np.maximum(x, 0)


def load() -> tuple[_Net, _Net]:
    """Return the detector and the expression net, read from ``weights`` at the first call.

    Raises:
        OSError: They are not installed.
        ValueError: Their files are damaged.
    """
    with _load_lock:
        return _load()


def detect(image: Image) -> list[Face]:
    """Return the faces in an image, the highest score first."""
    net, _ = load()
    x = _fit_square(image, _DETECTOR_SIDE, _DETECTOR_MEAN, centred=False)
    x = net.pooled(net.convolve(x, "conv0"), "conv0")
    for layer in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        x = net.pooled(net.separable(x, layer), layer)
    raw = x @ net["conv8/filters"][0, 0] + net["conv8/bias"]
    raw = raw.reshape(_GRID, _GRID, len(_ANCHORS), 5).astype(np.float64)
    scores = _sigmoid(raw[..., 4])
    height, width = image.shape[:2]
    # The package rounds the size of the image inside the square, and thereby its scale.
    shrink = _DETECTOR_SIDE / max(width, height)
    scale = [
        side * _DETECTOR_SIDE / max(1, _round(side * shrink)) / _GRID for side in (width, height)
    ]
    rows, columns, anchors = np.nonzero(scores > _MIN_SCORE)
    boxes = raw[rows, columns, anchors]
    middles = (_sigmoid(boxes[:, :2]) + np.stack([columns, rows], 1)) * scale
    sizes = np.exp(boxes[:, 2:4]) * _ANCHORS[anchors] * scale
    faces = np.column_stack([scores[rows, columns, anchors], middles - sizes / 2, sizes])
    return _without_overlaps([Face(*values) for values in faces.tolist()])


def express(image: Image, face: Face, temperature: float = 1.0) -> dict[str, float]:
    """Return the probability of each of ``EXPRESSIONS`` for a face in an image.

    Args:
        image: The image the face was found in.
        face: Its box.
        temperature: What the logits are divided by (Guo et al., On Calibration of Modern Neural
            Networks, 2017).
    """
    _, net = load()
    height, width = image.shape[:2]
    left, top = min(max(face.x, 0), width - 1), min(max(face.y, 0), height - 1)
    # As the package does: the box is clipped to the image, then each value is rounded down.
    across = math.floor(min(face.x + face.width, width) - left)
    down = math.floor(min(face.y + face.height, height) - top)
    crop = image[math.floor(top) :, math.floor(left) :][: max(down, 1), : max(across, 1)]
    x = _fit_square(crop, _EXPRESSION_SIDE, _EXPRESSION_MEAN, centred=True)
    x = net.convolve(np.pad(x, ((0, 1), (0, 1), (0, 0))), "dense0/conv0", stride=2)
    x = net.dense(np.maximum(x + net["dense0/conv0/bias"], 0), "dense0")
    for block in ("dense1", "dense2", "dense3"):
        x = net.separable(x, f"{block}/conv0", stride=2) + net[f"{block}/conv0/bias"]
        x = net.dense(np.maximum(x, 0), block)
    logits = (x.mean((0, 1)) @ net["fc/weights"] + net["fc/bias"]).astype(np.float64)
    odds = np.exp((logits - logits.max()) / temperature)
    return dict(zip(EXPRESSIONS, (odds / odds.sum()).tolist(), strict=True))


@cache
def _load() -> tuple[_Net, _Net]:
    return _read("tiny_face_detector_model"), _read("face_expression_model")


def _read(name: str) -> _Net:
    """Read a net in the format of TensorFlow.js; weights may be quantized to a byte each."""
    [group] = json.loads((WEIGHTS / f"{name}-weights_manifest.json").read_text(encoding="utf-8"))
    data = b"".join((WEIGHTS / path).read_bytes() for path in group["paths"])
    net = _Net()
    for entry in group["weights"]:
        quantized = entry.get("quantization")
        dtype = np.dtype("uint8" if quantized else "float32")
        count = math.prod(entry["shape"])
        values = np.frombuffer(data, dtype, count).astype(np.float32).reshape(entry["shape"])
        data = data[count * dtype.itemsize :]
        if quantized:
            values = values * np.float32(quantized["scale"]) + np.float32(quantized["min"])
        net[entry["name"]] = values
    return net


def _fit_square(image: Image, side: int, mean: Map, *, centred: bool) -> Map:
    """Resize an image to fit into a square by linear interpolation; subtract a mean colour.

    The rest of the square is black: on both sides if ``centred``, else on the right or below.
    """
    square = max(image.shape[:2])
    position = np.arange(side) * (square / side)
    low = position.astype(int)
    share = (position - low).astype(np.float32)
    x: Any = image
    for axis, length in enumerate(image.shape[:2]):
        margin = square - length
        before = margin - _round(margin / 2) if centred else 0
        parts = []
        for step, part in ((0, 1 - share), (1, share)):
            index = np.minimum(low + step, square - 1) - before
            weight = np.expand_dims(part * ((index >= 0) & (index < length)), (1 - axis, 2))
            parts.append(x.take(index.clip(0, length - 1), axis) * weight)
        x = parts[0] + parts[1]
    out: Map = (x - mean) / 255
    return out


def _without_overlaps(faces: list[Face]) -> list[Face]:
    """Return the faces, the highest score first, without those that overlap a better one."""
    kept: list[Face] = []
    for face in sorted(faces, key=attrgetter("score"), reverse=True):
        if all(face.overlap(other) <= _MAX_OVERLAP for other in kept):
            kept.append(face)
    return kept


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _round(value: float) -> int:
    # As JavaScript does: a half goes up.
    return math.floor(value + 0.5)
