"""The scikit-learn pipeline learned from the logs: which film is chosen in which context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from moodflix import evening, moods, titles
from moodflix.recommend.ranking import CONTEXT as NAME
from moodflix.recommend.ranking import Pick, Query, admissible
from moodflix.schemas import CONTEXT

# Bounds of memory: naive Bayes holds films x tokens, and its targets rows x films.
MAX_ROWS = 10_000
MAX_FILMS = 500
MAX_TOKENS = 512
_SMOOTHING = 1.0


class ContextModel:
    """Multinomial naive Bayes over the binned words of a context, popularity as its prior."""

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.rows = 0
        self.pipeline: Any = None
        self._titles: dict[str, str] = {}

    def fit(self, contexts: Sequence[Mapping[str, str]], chosen: Sequence[str]) -> ContextModel:
        """Learn from contexts (any of the ten columns, as text) and the titles chosen in them.

        The last ``MAX_ROWS`` are learned, and of their films the ``MAX_FILMS`` most chosen; films
        are told apart by spelling key.
        """
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import Pipeline

        contexts, chosen = contexts[-MAX_ROWS:], chosen[-MAX_ROWS:]
        keys = [titles.key(titles.tidy(title)) for title in chosen]
        # Two quotes with nothing between them are no film.
        learned = dict(Counter(filter(None, keys)).most_common(MAX_FILMS))
        kept = [place for place, key in enumerate(keys) if key in learned]
        self.rows = len(kept)
        if not kept:
            self.pipeline = None
            return self
        # The latest spelling is the one shown.
        self._titles = {keys[place]: titles.tidy(chosen[place]) for place in kept}
        self.pipeline = Pipeline(
            [
                ("encode", CountVectorizer(analyzer=tokens, max_features=MAX_TOKENS, binary=True)),
                ("estimate", MultinomialNB(alpha=_SMOOTHING)),
            ]
        )
        self.pipeline.fit([contexts[place] for place in kept], [keys[place] for place in kept])
        return self

    def ranking(self, context: Mapping[str, str]) -> Iterator[tuple[str, float]]:
        """Yield (title, probability) over the known films, best first."""
        if self.pipeline is None:
            return
        scores = self.pipeline.predict_proba([context])[0]
        for place in sorted(range(len(scores)), key=lambda at: -scores[at]):
            yield self._titles[self.pipeline.classes_[place]], float(scores[place])

    def top(self, context: Mapping[str, str], n: int) -> list[tuple[str, float]]:
        """Return the ``n`` likeliest (title, probability), best first."""
        return list(islice(self.ranking(context), n))


class ContextRecommender:
    """Ranks by whichever model was learned last; says nothing before the first."""

    name = NAME

    def __init__(self) -> None:
        """Start with a model that knows nothing."""
        self.model = ContextModel()

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Rank by probability; an empty list while nothing is learned."""
        # One look: the trainer may swap the model meanwhile.
        model = self.model
        title_year = (
            (titles.split_year(title), score) for title, score in model.ranking(query.context)
        )
        ranked = (Pick(title, year, score) for (title, year), score in title_year)
        return list(islice(admissible(ranked, query), n))


def tokens(context: Mapping[str, str]) -> list[str]:
    """Return the words a context is learned by: each column binned, unknown values left out."""
    read = {name: context.get(name, "").strip() for name in CONTEXT}
    place = [evening.number(read[name]) for name in ("lat", "lon")]
    binned = {
        "city": titles.key(read["city"]),
        # about 50 km
        "place": None
        if None in place
        else "/".join(f"{at:.1f}" for at in place if at is not None)
        if not read["city"]
        else None,
        "today": evening.day(read["today_status"]) or read["today_status"].casefold(),
        "tomorrow": evening.day(read["tomorrow_status"]) or read["tomorrow_status"].casefold(),
        "weekday": evening.weekday(read["weekday"]),
        "weather": evening.weather(read["weather_desc"]),
        "warmth": evening.warmth(evening.number(read["temperature"])),
        "mood": moods.mood(read["mood"]) or read["mood"].casefold(),
        "tone": moods.tone(read["tone"]) or read["tone"].casefold(),
    }
    # "*" is in every context, so that none is empty.
    return ["*", *(f"{name}={value}" for name, value in binned.items() if value)]
