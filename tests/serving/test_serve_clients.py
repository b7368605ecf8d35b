"""The clients that people use: curl, and Trifacet's own, which asks endpoints in builds and evolve."""

import asyncio
import json
import shutil
import subprocess

import pytest

from trifacet.base.images import MAX_PIXELS
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel
from trifacet.llm.prompts import make_prompt
from trifacet.llm.settings import Model
from trifacet.serving.limits import Limits

PROMPT = make_prompt("which", "You answer.\n---\nPost: {post}\nWhich town?")


def test_curl(served, turn, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "body.json").write_text(json.dumps({"model": "base", "messages": turn(0), "max_tokens": 5}))
    said = subprocess.run(
        ["curl", "-sS", f"{served.address}/v1/chat/completions", "-H", "Content-Type: application/json", "-d",
         f"@{tmp_path / 'body.json'}"], capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert json.loads(said)["choices"][0]["message"]["content"]


def test_trifacets_own_client_asks_it_as_any_endpoint(served, shown, tmp_path):
    spec = Model(base_url=f"{served.address}/v1", model="base", timeout=60.0, max_tokens=8, reparse=0, concurrency=4)

    async def run(file):
        with Books(file) as books:
            async with LanguageModel("judge", spec, books) as model:
                ask = model.for_step("step").ask
                greedy = await asyncio.gather(
                    *(ask(PROMPT, {"post": "two dogs"}, str, images=[shown / f"{one}.png"]) for one in range(3))
                )
                drawn = await asyncio.gather(
                    *(ask(PROMPT, {"post": "two dogs"}, str, images=[shown / "0.png"], temperature=1.0, draw=draw)
                      for draw in range(3))
                )  # fmt: skip
            tally = books.tally("step", "judge")
        return [one.text for one in (*greedy, *drawn)], tally

    texts, tally = asyncio.run(run(tmp_path / "a.sqlite"))
    assert len(set(texts)) >= 4 and not tally.retries and not tally.uncounted
    assert tally.tokens_in > 100 and tally.tokens_out > 6
    assert asyncio.run(run(tmp_path / "b.sqlite"))[0] == texts, "a seed is a seed"


def test_several_draws_in_one_request_are_given(served, turn):
    spec = Model(base_url=f"{served.address}/v1", model="first", timeout=60.0, max_tokens=8, reparse=0)
    body = {
        "model": "first",
        "messages": turn(1, text="Which?"),
        "temperature": 1.0,
        "max_tokens": 8,
        "seed": 4,
        "n": 3,
    }
    from trifacet.llm.books import Tally
    from trifacet.llm.endpoint import Endpoint

    async def run():
        endpoint = Endpoint("judge", spec)

        async def keep(replies):
            pass

        try:
            return await endpoint.complete(body, "key", (10, 10), Tally(), keep)
        finally:
            await endpoint.close()

    replies = asyncio.run(run())
    assert len({reply.text for reply in replies}) == 3


def test_limits_are_those_of_everybody():
    assert Limits().max_pixels == MAX_PIXELS
