"""What the tests of this folder ask: a post's text backwards, of a scripted endpoint."""

import asyncio
import json
import os
import re
from pathlib import Path

from trifacet.demo.endpoint_server import last_text
from trifacet.llm.books import Books
from trifacet.llm.model import LanguageModel
from trifacet.llm.parsing import parse_object
from trifacet.llm.prompts import make_prompt
from trifacet.llm.settings import Model

PROMPT = make_prompt("backwards", 'You answer.\n---\nPost: {post}\nWrite {"answer": "..."}, the post backwards.')


def post_of(messages) -> str:
    """The post as the endpoint reads it."""
    return json.loads(re.search(r"^Post: (.*)$", last_text(messages), re.MULTILINE)[1])


def backwards(messages) -> str:
    return json.dumps({"answer": post_of(messages)[::-1]})


def parse(text: str) -> str:
    return parse_object(text, {"answer": str})["answer"]


def spec(endpoint, **others) -> Model:
    return Model(base_url=endpoint.base_url, **{"model": "scripted", "timeout": 5.0, "max_tokens": 64} | others)


def posts(count: int) -> list[str]:
    return [f"post {number}" for number in range(count)]


def ask_all(model_spec, file: Path, texts, *, budget=None, images=(), **others):
    """Ask about all texts at once: the answers, or the exception, and the closed books."""

    async def run():
        async with LanguageModel("judge", model_spec, books, first_pause=0.02) as model:
            step = model.for_step("step")
            return await asyncio.gather(
                *(step.ask(PROMPT, {"post": text}, parse, images=images, **others) for text in texts)
            )

    with Books(file, budget) as books:
        try:
            return asyncio.run(run()), books
        except Exception as error:
            return error, books


def tally(books):
    return books.tally("step", "judge")


if __name__ == "__main__":  # a process to be killed: address, file of answers, number of questions
    import sys

    address, file, count = sys.argv[1:]
    os.environ.pop("OPENAI_API_KEY", None)
    answers, _ = ask_all(Model(base_url=address, model="scripted", concurrency=4), Path(file), posts(int(count)))
    print(json.dumps([answer.value for answer in answers]))
