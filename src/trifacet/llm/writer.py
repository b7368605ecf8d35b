"""A model behind an endpoint, or a chat model of this machine in its place, as a writer.

Invariant: every answer is kept in books before it counts, so that the same posts are asked about and paid for once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, of_sample
from trifacet.base.images import resolve_inside
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Written, require_unique_ids
from trifacet.llm.asking import Asked, AskedModel, ask_all, together
from trifacet.llm.capabilities import Form
from trifacet.llm.model import CUT_OFF, LanguageModel, rejected
from trifacet.llm.prompts import Prompt

Words = Callable[[TestSample], tuple[Prompt, Mapping[str, str]]]


class _Plain(Prompt):
    """The request as it stands, not as a field of a prompt of ours."""

    def render(self, fields: Mapping[str, str]) -> tuple[str, str]:
        return "", fields["question"]


_PLAIN = _Plain("question", "---\n{question}\n", "")


def own_question(post: TestSample) -> tuple[Prompt, Mapping[str, str]]:
    """The post's own request and nothing else. Raises ValueError where it has none, or words besides."""
    if post.prompt is None or post.context:
        raise ValueError(f"{post.id!r} is no question: its words need a prompt")
    return _PLAIN, {"question": post.prompt}


@dataclass
class EndpointWriter:
    """Asks each question once and takes the answer as it came, also one that was cut or declines.

    Where the endpoint gives none the text is empty, and its ``problem`` says so.

    Attributes:
        spec: the model, and the budget.
        books: the file that keeps its answers.
        max_new_tokens: longest text.
        temperature: of the sampling.
        step: who asks, for the books.
        words: the prompt of a post, and its fields.
        seed: of the sampling.
        first_pause: see ``Endpoint``.
        form: what the texts have to look like, see ``LanguageModel.ask``; they are taken as they come all the same.
        asked: what the last ``write`` took.
    """

    spec: AskedModel
    books: Path
    max_new_tokens: int
    temperature: float = 0.0
    step: str = "answers"
    words: Words = own_question
    seed: int = 17
    first_pause: float = 1.0
    form: Form | None = None
    asked: Asked | None = field(default=None, init=False)

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``. Raises as ``ask_all``; what was answered until then is kept."""
        texts, self.asked = self._ask(posts, images_root, draws, done, on_written or (lambda _: None))
        return texts

    def cost(self, posts: Sequence[TestSample], images_root: str | Path, *, draws: int = 1) -> Asked:
        """What writing would still take, with texts as long as they may be; nothing is asked."""
        return self._ask(posts, images_root, draws, (), lambda _: None, counting=True)[1]

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any] | None:
        """None: the books keep the answers, each by all that it depends on."""
        return None

    def _ask(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        draws: int,
        done: Collection[tuple[str, int]],
        on_written: OnWritten,
        *,
        counting: bool = False,
    ) -> tuple[list[Written], Asked]:
        require_unique_ids(posts)
        known = {post.id: (*self.words(post), _pictures(post, images_root)) for post in posts}
        texts: dict[tuple[str, int], Written] = {}

        async def of_post(model: LanguageModel, name: str) -> None:
            prompt, fields, pictures = known[name]
            wanted = [draw for draw in range(draws) if (name, draw) not in done]
            await model.draw(
                prompt, fields, images=pictures, temperature=self.temperature, max_tokens=self.max_new_tokens,
                draws=wanted, form=self.form,
            )  # fmt: skip
            async with together() as group:
                for draw in wanted:
                    group.create_task(one(model, (name, draw)))

        async def one(model: LanguageModel, wanted: tuple[str, int]) -> None:
            name, draw = wanted
            prompt, fields, pictures = known[name]
            said = await model.ask(
                prompt, fields, str, images=pictures, temperature=self.temperature, max_tokens=self.max_new_tokens,
                draw=draw, form=self.form,
            )  # fmt: skip
            text, ended = "" if rejected(said.problem) else said.text.strip(), said.problem != CUT_OFF
            texts[wanted] = Written(name, text, *said.tokens, draw=draw, ended=ended, problem=said.problem)
            on_written([texts[wanted]])

        every = [(post.id, draw) for post in posts for draw in range(draws) if (post.id, draw) not in done]
        once = self.spec.model_copy(update={"reparse": 0})
        asked = ask_all(
            of_post,
            [*known],
            once,
            self.books,
            self.step,
            first_pause=self.first_pause,
            counting=counting,
            seed=self.seed,
        )
        return [texts[wanted] for wanted in every], asked


def _pictures(post: TestSample, images_root: str | Path) -> list[Path]:
    try:
        return [resolve_inside(images_root, name) for name in post.pictures]
    except DataError as error:
        raise of_sample(post.id, error) from None
