"""The ten logged columns as small integers: cleaned, binned where a bin is known, words kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from moodflix import vocabulary
from moodflix.films import titles
from moodflix.requests import CONTEXT

Codes = np.ndarray[Any, np.dtype[np.uint16]]
Texts = np.ndarray[Any, np.dtype[np.object_]]

# About 10 km, learned beside the city, which may be misspelled or absent.
PLACE: Final = "place"
COLUMNS: Final = (*CONTEXT, PLACE)
MAX_WORDS = 20_000  # of a column; further ones count as unknown
_MAX_MEMO = 60_000
_MAX_WORD = 100
_QUANTILES = 8


def _weekend(text: str) -> str | None:
    day = vocabulary.weekday(text)
    return None if day is None else str(day in ("saturday", "sunday"))


# What is learned by: name -> column and the bin of its word. A word without a bin stays itself.
FIELDS: Final[dict[str, tuple[str, Callable[[str], str | None]]]] = {
    "city": ("city", titles.key),
    "lat": ("lat", str),
    "lon": ("lon", str),
    PLACE: (PLACE, str),
    "today": ("today_status", lambda text: vocabulary.day(text) or text),
    "tomorrow": ("tomorrow_status", lambda text: vocabulary.day(text) or text),
    "weekday": ("weekday", lambda text: vocabulary.weekday(text) or text),
    "weekend": ("weekday", _weekend),
    "weather": ("weather_desc", lambda text: vocabulary.weather(text) or text),
    "weather word": ("weather_desc", str),
    "warmth": ("temperature", lambda text: vocabulary.warmth(vocabulary.number(text)) or text),
    "temperature": ("temperature", str),
    "quantile": ("temperature", lambda _: None),  # bins learned from the data
    "mood": ("mood", lambda text: vocabulary.mood(text) or text),
    "mood word": ("mood", str),
    "tone": ("tone", lambda text: vocabulary.tone(text) or text),
    "tone word": ("tone", str),
}
NAMES: Final = tuple(FIELDS)
# The first of these that tells places apart is the place of a row.
PLACES: Final = tuple(NAMES.index(name) for name in ("city", PLACE, "lat", "lon"))


class Clean(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns mappings with the ten keys (any missing) into an array of their texts, rows x 11."""

    def fit(self, X: Sequence[Mapping[str, Any]], y: object = None) -> Clean:  # noqa: ARG002, N803
        """Learn nothing."""
        return self

    def transform(self, X: Sequence[Mapping[str, Any]]) -> Texts:  # noqa: N803
        """Return the texts in the order of ``COLUMNS``; missing ones are empty."""
        texts = np.empty((len(X), len(COLUMNS)), dtype=object)
        for at, name in enumerate(CONTEXT):
            texts[:, at] = [row.get(name) or "" for row in X]
        lat, lon = CONTEXT.index("lat"), CONTEXT.index("lon")
        texts[:, -1] = [
            f"{a}/{b}" if a and b else "" for a, b in zip(texts[:, lat], texts[:, lon], strict=True)
        ]
        return texts

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _Words(dict[Any, int]):
    """Remembers which text is which word of a column; ``known`` holds the words in order."""

    def __init__(self, column: str, known: Iterable[str] = ()) -> None:
        super().__init__()
        self.column = column
        self.known = {word: at for at, word in enumerate(known, start=1)}
        self.learning = False

    def __missing__(self, text: Any) -> int:
        word = _word(self.column, str(text))
        code = self.known.get(word, 0)
        if not code and word and self.learning and len(self.known) < MAX_WORDS:
            code = self.known[word] = len(self.known) + 1
        if self.learning and len(self) < _MAX_MEMO:
            self[text] = code
        return code


def _word(column: str, text: str) -> str:
    text = text.strip().casefold()[:_MAX_WORD]
    if vocabulary.is_placeholder(text):
        return ""
    if column == PLACE:
        at = [vocabulary.number(part) for part in text.split("/", 1)]
        return "" if None in at else "/".join(f"{part:.1f}" for part in at)
    value = None if column not in ("lat", "lon", "temperature") else vocabulary.number(text)
    # A GPS fix or a sensor never says the same twice.
    return text if value is None else f"{value:{'.3g' if column == 'temperature' else '.2f'}}"


class Encode(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns texts into codes, rows x ``NAMES``; 0 is unknown."""

    def fit(self, X: Texts, y: object = None) -> Encode:  # noqa: ARG002, N803
        """Learn the words and bins of each column."""
        self.begin()
        self.finish(self.learn(X))
        return self

    def begin(self, known: Mapping[str, Sequence[str]] | None = None) -> None:
        """Start with these words of each column, or with none."""
        known = known or {}
        self.words_ = {name: _Words(name, known.get(name, ())) for name in COLUMNS}
        self.tables_: list[list[int]] = [[0] for _ in NAMES]
        self.bins_: list[dict[str | None, int]] = [{} for _ in NAMES]

    def grown(self, X: Texts) -> Encode:  # noqa: N803
        """Return a copy that also knows the words of some further rows."""
        other = Encode()
        other.begin({name: list(words.known) for name, words in self.words_.items()})
        other.tables_ = [list(table) for table in self.tables_]
        other.bins_ = [dict(codes) for codes in self.bins_]
        other.edges_ = self.edges_
        other.learn(X)
        other.bin()
        return other

    def learn(self, X: Texts) -> Codes:  # noqa: N803
        """Return the word codes (rows x columns) of some rows, adding words not seen before."""
        for words in self.words_.values():
            words.learning = True
        codes = self._read(X)
        for words in self.words_.values():
            words.learning = False
        return codes

    def finish(self, words: Codes) -> None:
        """Learn the bins, given the word codes of all rows."""
        column = words[:, COLUMNS.index("temperature")]
        counts = np.bincount(column, minlength=len(self.words_["temperature"].known) + 1)
        degrees = map(vocabulary.number, self.words_["temperature"].known)
        read = [(at, n) for at, n in zip(degrees, counts[1:], strict=True) if at is not None]
        self.edges_: list[float] = []
        if read:
            values, weights = (np.array(each) for each in zip(*sorted(read), strict=True))
            share = np.cumsum(weights) / max(weights.sum(), 1)
            cuts = np.searchsorted(share, np.arange(1, _QUANTILES) / _QUANTILES)
            self.edges_ = sorted({float(values[cut]) for cut in cuts})
        self.bin()

    def bin(self) -> None:
        """Give each new word its code in each field."""
        fields = zip(FIELDS.items(), self.tables_, self.bins_, strict=True)
        for (name, (column, _)), table, codes in fields:
            for word in islice(self.words_[column].known, len(table) - 1, None):
                value = self._value(name, word)
                table.append(codes.setdefault(value, len(codes) + 1) if value else 0)
        self._tables = [np.array(table, dtype=np.uint16) for table in self.tables_]

    def spread(self, words: Codes) -> Codes:
        """Return the field codes (rows x ``NAMES``) of word codes (rows x columns)."""
        codes = np.empty((len(words), len(NAMES)), dtype=np.uint16)
        for at, (column, _) in enumerate(FIELDS.values()):
            codes[:, at] = self._tables[at][words[:, COLUMNS.index(column)]]
        return codes

    def transform(self, X: Texts) -> Codes:  # noqa: N803
        """Return the field codes of texts; a word never learned has at most a bin."""
        words = self._read(X)
        codes = self.spread(words)
        for row, column in np.argwhere((words == 0) & (X != "")):
            word = _word(COLUMNS[column], str(X[row, column]))
            for at, (name, (of, _)) in enumerate(FIELDS.items()):
                if of == COLUMNS[column] and word:
                    codes[row, at] = self.bins_[at].get(self._value(name, word), 0)
        return codes

    def to_json(self) -> dict[str, Any]:
        """Return all that was learned."""
        words = {name: list(each.known) for name, each in self.words_.items()}
        return {"words": words, "edges": self.edges_}

    def restore(self, words: Mapping[str, Sequence[str]], edges: Sequence[float]) -> Encode:
        """Take over what ``to_json`` told of.

        Raises:
            ValueError: these are not the words of the columns.
        """
        if set(words) != set(COLUMNS) or any(
            len(set(each)) != len(each) for each in words.values()
        ):
            raise ValueError("words: not those of the ten columns")
        self.begin(words)
        self.edges_ = list(edges)
        self.bin()
        return self

    def _value(self, name: str, word: str) -> str | None:
        """Return what a word stands for in a field."""
        degrees = vocabulary.number(word) if name == "quantile" else None
        if degrees is None:
            return FIELDS[name][1](word)
        return str(int(np.searchsorted(self.edges_, degrees)))

    def _read(self, texts: Texts) -> Codes:
        read = (
            map(words.__getitem__, texts[:, at]) for at, words in enumerate(self.words_.values())
        )
        columns = [np.fromiter(each, dtype=np.uint16, count=len(texts)) for each in read]
        return np.stack(columns, axis=1)
