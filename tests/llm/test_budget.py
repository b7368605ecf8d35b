"""A budget is never passed, what is paid is kept, and the same command continues when it is raised."""

import asyncio

import pytest
from questions import ask_all, backwards, posts, spec, tally

from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint
from trifacet.llm.books import Books, BudgetReached
from trifacet.llm.settings import Price

PRICE = Price(input=1_000_000, output=2_000_000)  # 1 for a token in, 2 for a token out


@pytest.mark.parametrize("faults", [Faults(), Faults.mixed(0.2, slow=1.7)])
def test_it_stops_below_the_budget_and_continues_when_it_is_raised(faults, tmp_path):
    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(backwards, faults, latency=0.01) as endpoint:
        priced = spec(endpoint, price=PRICE, max_tokens=20, timeout=1.5 if faults.shares else 30)
        stop, books = ask_all(priced, file, posts(60), budget=1000)
        assert isinstance(stop, BudgetReached), stop
        assert str(stop).startswith("budget of 1000 reached after") and "raise 'budget'" in str(stop)
        assert 1000 - 3 * 80 < books.paid <= 1000
        first = endpoint.calls.delivered
        assert tally(books).answered == books.answered("judge") <= first
        assert faults.shares or books.answered("judge") == first, "what was in flight is kept"
        assert books.spent == tally(books).tokens_in + 2 * tally(books).tokens_out
        again, books = ask_all(priced, file, posts(60), budget=1000)
        assert isinstance(again, BudgetReached) and books.paid <= 1000, "what was paid before counts"
        answers, books = ask_all(priced, file, posts(60), budget=100_000)
        assert [answer.value for answer in answers] == [text[::-1] for text in posts(60)]
    assert books.paid == pytest.approx(books.paid_before + books.spent) and books.paid_before > 0
    assert books.answered("judge") <= endpoint.calls.delivered and books.answered("judge") > first
    assert faults.shares or endpoint.calls.twice == 0
    with Books(file) as opened:
        assert opened.paid == pytest.approx(books.paid) and opened.spent == 0


def test_what_is_in_flight_may_come_cheaper_so_the_last_of_the_budget_is_used(tmp_path):
    async def run(books):
        release = await books.reserve(6)
        waiting = asyncio.create_task(books.reserve(6))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        release()
        (await waiting)()
        with pytest.raises(BudgetReached):
            await books.reserve(11)

    with Books(tmp_path / "a.sqlite", budget=10) as books:
        asyncio.run(run(books))


def test_tokens_that_the_endpoint_does_not_count_are_estimated_and_marked(tmp_path, monkeypatch):
    whole = ScriptedEndpoint.completion
    monkeypatch.setattr(
        ScriptedEndpoint, "completion", lambda *given: whole(*given).replace(b'"usage"', b'"not_usage"')
    )
    with ScriptedEndpoint(backwards) as endpoint:
        _, books = ask_all(spec(endpoint, price=PRICE), tmp_path / "a.sqlite", posts(4))
    mine = tally(books)
    assert mine.uncounted == 4 and mine.tokens_in == mine.estimated_in > 0 and mine.tokens_out > 0
    assert books.spent == mine.tokens_in + 2 * mine.tokens_out
    assert books.rows()[0] | {"step": "step", "model": "judge", "answered": 4} == books.rows()[0]
