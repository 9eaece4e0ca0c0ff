from __future__ import annotations

import pytest

from moodflix.recommend.answer import NoLlm, answer_of
from moodflix.recommend.llm.recommender import OllamaRecommender
from moodflix.recommend.query import Pick, Query, Recommender
from moodflix.vocabulary import LLM
from tests.fake_ollama import FakeOllama, answer, says
from tests.recommender_contract import RecommenderContract

# Six films in ten spellings, more than the station wants.
FILMS = (
    {"title": "Paterson", "year": 2016, "why": "Quiet days, kindly watched."},
    {"title": "PATERSON (2016)", "year": 2016, "why": "Again."},
    {"title": "Mother", "year": 2009, "why": "She will not give up."},
    {"title": "\u201cmother\u201d", "year": None, "why": "Again."},
    {"title": "The Lunchbox", "year": 2013, "why": "Food and letters."},
    {"title": "Lunchbox, The", "year": 2013, "why": "Again."},
    {"title": "Am\u00e9lie", "year": 2001, "why": "Kindness in a city."},
    {"title": "amelie", "year": 2001, "why": "Again."},
    {"title": "Tampopo", "year": 1985, "why": "Noodles."},
    {"title": "Ikiru", "year": 1952, "why": "What matters."},
)


class Named:
    """Ranks as the LLM names films."""

    name = LLM

    def __init__(self, llm: OllamaRecommender | NoLlm) -> None:
        self._llm = llm

    def rank(self, query: Query, n: int) -> list[Pick]:
        return answer_of(self._llm.ask(query, n)).picks


class TestOllamaRecommender(RecommenderContract):
    names = 5

    @pytest.fixture
    def recommender(self, ollama: FakeOllama) -> Recommender:
        ollama.default = says(answer(FILMS))
        return Named(OllamaRecommender("llama3.2:3b", timeout=30))


class TestNoLlm(RecommenderContract):
    names = 0

    @pytest.fixture
    def recommender(self) -> Recommender:
        return Named(NoLlm())
