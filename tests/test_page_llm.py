from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import Visiting
from tests.events import listening
from tests.fake_ollama import (
    Behaviour,
    FakeOllama,
    Handler,
    answer,
    begins,
    hangs,
    once_released,
    replies,
    resets,
    says,
)
from tests.server import Serve, await_condition

TITLES = ["Paterson", "Mother", "Parasite"]
# The words of a good answer, cut right behind each of its films.
FILMS = re.findall(r".*?\}(?=, \{|\])|.+", answer())
WORDS = "a quiet evening"


def pauses_after(first: str, rest: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        begins(first, hangs)(handler)
        handler.say(rest)
        handler.say_done()

    return behave


def test_films_of_a_slow_llm_slip_in_as_they_come(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(pauses_after(FILMS[0], "".join(FILMS[1:])))
    with visiting(serve(llm="auto")) as visit:
        visit.say(WORDS)
        await_condition(lambda: "Paterson" in visit.titles(), "the first film")
        assert len(visit.titles()) == 6
        assert visit.titles()[0] == "Paterson"
        expect(visit.card("Paterson")).to_contain_text("Quiet days, kindly watched.")
        expect(visit.page.locator("#status")).to_contain_text("thinking")
        expect(visit.page.get_by_role("button", name="Show me others")).to_be_disabled()
        ollama.released.set()
        titles = visit.wait_for_answer("With ideas from the language model")
        assert len(titles) == 6
        assert set(TITLES) <= set(titles)
        expect(visit.card("Paterson")).to_contain_text("Language model")


def test_a_film_can_be_chosen_while_the_llm_still_thinks(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())))
    with visiting(serve(llm="auto")) as visit:
        visit.say(WORDS)
        visit.wait_for_answer("thinking")
        title = visit.titles()[0]
        visit.card(title).get_by_role("button", name="Watch this").click()
        expect(visit.page.get_by_role("dialog")).to_contain_text("Your choice is noted")
        assert visit.newest_choice()["movieTitle"] == title
        ollama.released.set()


def test_nothing_moves_under_a_hand_that_points(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())))
    with visiting(serve(llm="auto")) as visit:
        visit.say(WORDS)
        visit.wait_for_answer("thinking")
        before = visit.titles()
        visit.card(before[3]).hover()
        ollama.released.set()
        titles = visit.wait_for_answer("With ideas from the language model")
        assert titles[:6] == before
        assert set(TITLES) <= set(titles)


def test_without_an_llm_the_station_says_so_and_picks(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve(llm="auto")) as visit:
        visit.say(WORDS)
        assert len(visit.wait_for_answer("The language model is not answering")) == 6


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (resets, "ran out of time|is not answering"),
        (lambda handler: handler.say_done(), "ran out of time|is not answering|With ideas"),
    ],
    ids=["reset", "cut short"],
)
def test_an_llm_that_fails_in_the_middle_leaves_films(
    serve: Serve, visiting: Visiting, ollama: FakeOllama, then: Behaviour, said: str
) -> None:
    ollama.then(begins(FILMS[0], then))
    with visiting(serve(llm="auto")) as visit:
        visit.say(WORDS)
        expect(visit.page.locator("#status")).to_have_text(re.compile(said))
        assert len(visit.titles()) == 6


def test_a_required_llm_that_fails_leaves_the_stations_picks(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(replies(500, {"error": "broken"}))
    with visiting(serve(llm="ollama")) as visit:
        visit.say(WORDS)
        assert len(visit.wait_for_answer("The rest did not arrive")) == 6
        expect(visit.page.get_by_role("button", name="Show me others")).to_be_enabled()


def test_a_station_that_dies_in_the_middle_leaves_its_picks(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())))
    served = serve(llm="auto")
    with visiting(served) as visit:
        visit.expected = ("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION")
        visit.say(WORDS)
        visit.wait_for_answer("thinking")
        await_condition(lambda: len(ollama.requests) == 1, "the call")
        served.die()
        assert len(visit.wait_for_answer("The rest did not arrive")) == 6
        visit.page.get_by_role("button", name="Show me others").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("can't answer just now")
        ollama.released.set()


def test_who_waits_for_the_llm_is_told_the_place(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())), says(answer()))
    served = serve(llm="auto")
    with listening(served, {}) as holder:
        await_condition(lambda: len(ollama.requests) == 1, "the call")
        with visiting(served) as visit:
            visit.say(WORDS)
            visit.wait_for_answer("People before you: 1")
            assert len(visit.titles()) == 6
            ollama.released.set()
            visit.wait_for_answer("With ideas from the language model")
        holder.rest()


def test_a_new_question_lets_go_of_the_last(
    serve: Serve, visiting: Visiting, ollama: FakeOllama
) -> None:
    ollama.then(once_released(says(answer())))
    with visiting(serve(llm="auto", llm_queue=0)) as visit:
        visit.expected = ("ERR_ABORTED",)
        visit.say(WORDS)
        visit.wait_for_answer("thinking")
        visit.page.get_by_role("group", name="Mood").get_by_role("button", name="Happy").click()
        expect(visit.page.locator("#read-mood")).to_have_text("Happy")
        ollama.released.set()
        expect(visit.page.get_by_role("button", name="Show me others")).to_be_enabled()
        assert visit.mood() == "happy"
        assert len(visit.titles()) == 6


def test_a_station_that_does_not_answer_is_asked_again(serve: Serve, visiting: Visiting) -> None:
    with visiting(serve()) as visit:
        visit.expected = ("ERR_FAILED",)
        visit.page.route("**/inference", lambda route: route.abort(), times=1)
        visit.say(WORDS)
        alert = visit.page.get_by_role("alert")
        expect(alert).to_contain_text("can't answer just now")
        alert.get_by_role("button", name="Try again").click()
        assert len(visit.wait_for_answer()) == 6
        expect(alert).to_be_hidden()
