"""Waiting for what a request needs, while whoever asked may leave."""

import asyncio
import gc

import pytest

from trifacet.serving.desk import or_gone


def test_what_fails_as_its_wait_is_ended_is_told_to_nobody():
    told = []

    async def ended():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        wanted, gone = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(or_gone(wanted, gone))
        await asyncio.sleep(0)
        waiting.cancel()
        wanted.set_exception(ValueError("no picture"))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        del wanted, waiting
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(ended())
    assert told == []
