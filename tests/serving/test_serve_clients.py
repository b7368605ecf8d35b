"""The clients that people use: curl, and Trifacet's own, which asks endpoints in builds and evolve."""

import asyncio
import json
import shutil
import socket
import struct
import subprocess
import time
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from trifacet.base.images import MAX_PIXELS
from trifacet.engine.growing import Grove
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


class Sure(BaseModel):
    """What pydantic and the client make a schema of."""

    model_config = ConfigDict(extra="forbid")

    alt: str = Field(max_length=8, description="The text.")
    sure: bool
    place: Literal["town", "sea"] | None = None


def test_the_official_client_parses_what_it_asked_for(served, turn):
    answer = served.client().chat.completions.parse(
        model="base", messages=turn(0, text="Which town?"), response_format=Sure, max_tokens=300, user="ada"
    )
    assert isinstance(answer.choices[0].message.parsed, Sure)


def test_the_official_client_streams_by_its_helper(served, turn):
    asked = {"model": "base", "messages": turn(0, text="Which town?"), "max_tokens": 20}
    free = served.client().chat.completions.create(**asked).choices[0].message.content
    asked["stop"] = free[6:9]  # a text that is cut at its longest this helper takes for a failure
    whole = served.client().chat.completions.create(**asked)
    with served.client().chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == whole.choices[0].message.content and final.usage == whole.usage


@pytest.mark.parametrize("how", ["stream", "reset", "whole"])
def test_for_a_client_that_hangs_up_nothing_more_is_written(serving, base, turn, monkeypatch, how):
    """The official client amid a stream, a connection that is reset, and one that waits for the whole answer."""
    grow, written = Grove.grow, []

    def slowly(self, leaves, tokens):
        time.sleep(0.01)
        written.append(len(tokens))
        return grow(self, leaves, tokens)

    monkeypatch.setattr(Grove, "grow", slowly)
    served = serving({"base": str(base)}, at_a_time=1, queue=1, max_tokens=2000)
    endless = {"type": "array", "items": {"type": "boolean"}, "minItems": 20_000}
    asked = {"model": "base", "messages": turn(0, text="Which?"), "max_tokens": 1900,
             "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": endless}}}  # fmt: skip
    if how == "stream":
        with served.client().chat.completions.create(**asked, stream=True) as stream:
            for number, _ in enumerate(stream):
                if number == 5:
                    break
    else:
        data = json.dumps(asked | {"stream": how == "reset"}).encode()
        with socket.create_connection(served.bound.getsockname(), timeout=60) as raw:
            raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(data) + data)  # fmt: skip
            if how == "reset":
                assert b"200" in raw.recv(100)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                end = time.monotonic() + 60
                while len(written) < 5 and time.monotonic() < end:
                    time.sleep(0.01)
    end = time.monotonic() + 30
    while served.desk.scheduler.load != (0, 0):
        assert time.monotonic() < end
        time.sleep(0.01)
    done = len(written)
    assert 0 < done < 1500
    answer = served.client().chat.completions.create(model="base", messages=turn(1, text="Which?"), max_tokens=3)
    assert answer.usage.completion_tokens == 3 and len(written) <= done + 3
