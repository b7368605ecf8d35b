"""The protocol against a real server: transformers serve with a tiny random model that sees."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
import urllib.request

import pytest
from questions import PROMPT, parse
from small_runs import on_one_thread, processes

from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel
from trifacet.llm.settings import Model

SECONDS = 120


def serve(arguments, log):
    """``transformers serve``, for a bounded time."""
    signal.alarm(2 * SECONDS)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.argv = ["transformers", *arguments]
    from transformers.cli.transformers import main

    main()


@pytest.fixture(scope="module")
def served(tiny_folder, tmp_path_factory):
    """Address and name of the model. A third of all tokens ends a text, so that random ones do end."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("served") / "model"
    folder.mkdir()
    for file in tiny_folder.iterdir():
        (folder / file.name).symlink_to(file)
    settings = json.loads((tiny_folder / "generation_config.json").read_text())
    (folder / "generation_config.json").unlink()
    vocabulary = json.loads((tiny_folder / "config.json").read_text())["text_config"]["vocab_size"]
    settings |= {"eos_token_id": list(range(0, vocabulary, 3)), "min_new_tokens": 6}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder.parent / "log.txt"
    arguments = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    process = processes.Process(target=on_one_thread, args=(serve, (arguments, log)))
    process.start()
    try:
        until = time.monotonic() + SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert process.is_alive() and time.monotonic() < until, log.read_text()[-3000:]
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.terminate()
        process.join(30)


def test_a_served_model_sees_images_and_its_garbage_is_a_class_of_its_own(served, photos, tmp_path):
    address, name = served
    spec = Model(base_url=address, model=name, timeout=60.0, max_tokens=200, reparse=1, concurrency=2)
    pictures = [photos / "1.png"]

    async def run(books):
        async with LanguageModel("tiny", spec, books) as model:
            free = [
                await model.for_step(f"{count} images").ask(
                    PROMPT, {"post": "</s> A cat <image> sits"}, str, images=pictures * count
                )
                for count in range(3)
            ]
            garbage = await model.ask(PROMPT, {"post": "A cat sits"}, parse, images=pictures)
            cut = await model.ask(PROMPT, {"post": "A cat sits"}, str, images=pictures, max_tokens=2)
            return free, garbage, cut

    with Books(tmp_path / "answers.sqlite") as books:
        free, garbage, cut = asyncio.run(run(books))
        rows = books._file.query("SELECT tokens_in, tokens_out, counted FROM answers")
    assert all(answer.value for answer in free), free
    assert (garbage.value, garbage.problem) == (None, "unparsed") and garbage.text
    assert (cut.value, cut.problem) == (None, "cut off")
    tally = books.tally("", "tiny")
    assert tally.repeats == {"unparsed": 1, "cut off": 1} and not tally.retries and not tally.uncounted
    shown = [books.tally(f"{count} images", "tiny").tokens_in for count in range(3)]
    assert shown[2] - shown[1] == shown[1] - shown[0] > 10  # the tokens of an image
    assert all(counted and tokens_in > 30 and 0 < tokens_out <= 200 for tokens_in, tokens_out, counted in rows)
    with Books(tmp_path / "answers.sqlite") as books:
        assert asyncio.run(run(books)) == (free, garbage, cut)
    assert books.tally("", "tiny").sent == 0
