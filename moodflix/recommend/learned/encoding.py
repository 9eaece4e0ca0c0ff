"""Encodes contexts as small integers: texts are normalised and, where possible, binned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from moodflix import vocabulary
from moodflix.films import titles
from moodflix.requests import CONTEXT

Codes = np.ndarray[Any, np.dtype[np.uint16]]
Context = Mapping[str, Any]

# Coordinates to about 10 km, besides the city, which may be misspelled or absent.
PLACE: Final = "place"
COLUMNS: Final = (*CONTEXT, PLACE)
MAX_WORDS: Final = 20_000  # distinct words of a column; further ones count as unknown
_MAX_MEMO: Final = 60_000  # texts of a column whose words are cached
_MAX_WORD_LENGTH: Final = 100
_QUANTILES: Final = 8  # bins of the temperature


def _is_weekend(text: str) -> str | None:
    day = vocabulary.weekday(text)
    return None if day is None else str(day in ("saturday", "sunday"))


# Name -> column of texts, and the function that returns a word's value: a bin, or the word.
FIELDS: Final[dict[str, tuple[str, Callable[[str], str | None]]]] = {
    "city": ("city", titles.key),
    "lat": ("lat", str),
    "lon": ("lon", str),
    PLACE: (PLACE, str),
    "today": ("today_status", lambda text: vocabulary.day_kind(text) or text),
    "tomorrow": ("tomorrow_status", lambda text: vocabulary.day_kind(text) or text),
    "weekday": ("weekday", lambda text: vocabulary.weekday(text) or text),
    "weekend": ("weekday", _is_weekend),
    "weather": ("weather_desc", lambda text: vocabulary.weather(text) or text),
    "weather word": ("weather_desc", str),
    "warmth": ("temperature", lambda text: vocabulary.temperature(vocabulary.number(text)) or text),
    "temperature": ("temperature", str),
    "quantile": ("temperature", lambda _: None),  # bins learned from the data
    "mood": ("mood", lambda text: vocabulary.mood(text) or text),
    "mood word": ("mood", str),
    "tone": ("tone", lambda text: vocabulary.tone(text) or text),
    "tone word": ("tone", str),
}
NAMES: Final = tuple(FIELDS)
# The first of these columns that varies is a row's place.
PLACES: Final = tuple(NAMES.index(name) for name in ("city", PLACE, "lat", "lon"))


class ContextTable:
    """Contexts (mappings with the ten keys, any missing) as dictionary-encoded columns.

    Attributes:
        words: column -> its distinct words, and their codes from 1; 0 stands for no word.
    """

    def __init__(self, contexts: Sequence[Context] = ()) -> None:
        """Start with some contexts, or with none."""
        self.words: dict[str, dict[str, int]] = {name: {} for name in COLUMNS}
        self._memos = {name: _Memo(name, words) for name, words in self.words.items()}
        self._codes: list[Codes] = []
        self.append(contexts)

    def append(self, contexts: Sequence[Context]) -> None:
        """Add further contexts."""
        codes = np.empty((len(contexts), len(COLUMNS)), dtype=np.uint16)
        columns: dict[str, Iterable[Any]] = {
            name: [context.get(name) or "" for context in contexts] for name in CONTEXT
        }
        columns[PLACE] = zip(columns["lat"], columns["lon"], strict=True)
        for at, name in enumerate(COLUMNS):
            read = map(self._memos[name].__getitem__, columns[name])
            codes[:, at] = np.fromiter(read, dtype=np.uint16, count=len(contexts))
        self._codes.append(codes)

    @property
    def codes(self) -> Codes:
        """The word codes, rows x ``COLUMNS``."""
        if len(self._codes) > 1:
            self._codes = [np.concatenate(self._codes)]
        return self._codes[0]

    def __len__(self) -> int:
        """Return how many contexts there are."""
        return sum(map(len, self._codes))


class _Memo(dict[Any, int]):
    """Caches the word code of each text of a column, and numbers the words."""

    def __init__(self, column: str, words: dict[str, int]) -> None:
        super().__init__()
        self._column, self._words = column, words

    def __missing__(self, text: Any) -> int:
        word = _word(self._column, text)
        code = self._words.get(word, 0)
        if not code and word and len(self._words) < MAX_WORDS:
            code = self._words[word] = len(self._words) + 1
        if len(self) < _MAX_MEMO:
            self[text] = code
        return code


def _word(column: str, text: Any) -> str:
    if column == PLACE:
        parts = [vocabulary.number(_word("", part)) for part in text]
        return "" if None in parts else "/".join(f"{part:.1f}" for part in parts)
    text = str(text).strip().casefold()[:_MAX_WORD_LENGTH]
    if text in vocabulary.PLACEHOLDERS:
        return ""
    value = vocabulary.number(text) if column in ("lat", "lon", "temperature") else None
    # Rounded, as readings of a GPS or a sensor vary.
    return text if value is None else f"{value:{'.3g' if column == 'temperature' else '.2f'}}"


class ContextEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns contexts into value codes, rows x ``NAMES``; 0 is unknown.

    Attributes:
        values_: the values of each field and their codes, from 1.
        edges_: bounds of the bins of the temperature.
    """

    def fit(self, X: ContextTable | Sequence[Context], y: object = None) -> ContextEncoder:  # noqa: ARG002, N803
        """Learn the bins and values of each field."""
        table = _table(X)
        self.edges_ = _edges(table)
        self.values_: list[dict[str, int]] = [{} for _ in NAMES]
        self._add(table)
        return self

    def extended(self, table: ContextTable) -> ContextEncoder:
        """Return a copy with the values of further contexts added; the bins are kept."""
        other = ContextEncoder()
        other.edges_, other.values_ = self.edges_, [dict(values) for values in self.values_]
        other._add(table)
        return other

    def transform(self, X: ContextTable | Sequence[Context]) -> Codes:  # noqa: N803
        """Return the value codes; also of a new word, if its bin is known."""
        table = _table(X)
        codes = np.empty((len(table), len(NAMES)), dtype=np.uint16)
        for at, (name, values) in enumerate(zip(NAMES, self.values_, strict=True)):
            column = FIELDS[name][0]
            known = (values.get(self._value(name, word) or "", 0) for word in table.words[column])
            code_of_word = np.array([0, *known], dtype=np.uint16)
            codes[:, at] = code_of_word[table.codes[:, COLUMNS.index(column)]]
        return codes

    def _add(self, table: ContextTable) -> None:
        for name, values in zip(NAMES, self.values_, strict=True):
            for word in table.words[FIELDS[name][0]]:
                value = self._value(name, word)
                if value and len(values) < MAX_WORDS:
                    values.setdefault(value, len(values) + 1)

    def _value(self, name: str, word: str) -> str | None:
        """Return the value of a word in a field: its bin."""
        degrees = vocabulary.number(word) if name == "quantile" else None
        if degrees is None:
            return FIELDS[name][1](word)
        return str(int(np.searchsorted(self.edges_, degrees)))


def _table(contexts: ContextTable | Sequence[Context]) -> ContextTable:
    return contexts if isinstance(contexts, ContextTable) else ContextTable(contexts)


def _edges(table: ContextTable) -> list[float]:
    """Return the bounds of temperature bins that hold about the same number of rows."""
    degrees = [vocabulary.number(word) for word in table.words["temperature"]]
    counts = np.bincount(table.codes[:, COLUMNS.index("temperature")], minlength=len(degrees) + 1)
    read = sorted((at, n) for at, n in zip(degrees, counts[1:], strict=True) if at is not None)
    if not read:
        return []
    values, weights = (np.array(each) for each in zip(*read, strict=True))
    shares = np.cumsum(weights) / weights.sum()
    cuts = np.searchsorted(shares, np.arange(1, _QUANTILES) / _QUANTILES)
    return sorted({float(values[cut]) for cut in cuts})
