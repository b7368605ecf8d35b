"""An endpoint that refuses everything is told whenever it begins to; rows that it refuses are their own problem."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from questions import ask_all, backwards, post_of, posts, spec

from trifacet.base.errors import TrifacetError
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.llm.refusals import AT_THE_END, IN_A_ROW, Refusals


def number_of(messages):
    return int(post_of(messages).split()[1])


def refusing(wanted):
    def answer(messages):
        if wanted(number_of(messages)):
            raise ValueError("no more today")
        return backwards(messages)

    return answer


@pytest.mark.parametrize("first", [0, 6, 40])
def test_a_fault_that_lasts_is_told_by_what_it_is_not_by_when_it_began(first, tmp_path):
    with ScriptedEndpoint(refusing(lambda number: number >= first)) as endpoint:
        for _ in range(2):  # the same command says the same
            stop, _ = ask_all(spec(endpoint, concurrency=4), tmp_path / "a.sqlite", posts(first + 100))
            assert isinstance(stop, TrifacetError) and "400: no more today" in str(stop)
            assert "models.judge rejected 20 requests in a row" in str(stop) and "\n" not in str(stop)
        assert endpoint.calls.refused[400] <= 2 * (IN_A_ROW + 2 * 4)


def test_rows_that_are_refused_here_and_there_stop_nothing_also_when_all_others_are_kept(tmp_path):
    bad = {number for number in range(120) if random.Random(number).random() < 0.3}
    with ScriptedEndpoint(refusing(bad.__contains__)) as endpoint:
        for _ in range(2):
            answers, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", posts(120))
            assert [answer.value is None for answer in answers] == [number in bad for number in range(120)]
        assert endpoint.calls.delivered == 120 - len(bad)


@given(st.lists(st.booleans(), max_size=120), st.randoms(use_true_random=False))
def test_so_many_in_a_row_are_found_in_whatever_order_they_come(refused, draw):
    refusals, told = Refusals("m"), False
    places = [(refusals.begin(), bad) for bad in refused]
    draw.shuffle(places)
    for place, bad in places:
        try:
            refusals.refused(place, "") if bad else refusals.answered(place)
        except TrifacetError:
            told = True
    rows = "".join("x" if bad else "." for bad in refused)
    assert told == ("x" * IN_A_ROW in rows)
    if rows.endswith("x" * AT_THE_END):
        with pytest.raises(TrifacetError, match=f"{AT_THE_END} requests in a row"):
            refusals.end()
    else:
        refusals.end()
