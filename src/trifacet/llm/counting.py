"""What asking would take: a model in another's place that is asked everything and sends nothing.

Invariant: questions are counted as they would be sent, each with an answer as long as it may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from trifacet.llm.books import Books, Tally
from trifacet.llm.capabilities import Form
from trifacet.llm.model import Answer, LanguageModel
from trifacet.llm.prompts import Prompt
from trifacet.llm.settings import Model

T = TypeVar("T")


TallyOf = Callable[[str, str, str], Tally]  # of a step, a model and a prompt


class CountingModel(LanguageModel):
    """A model that answers nothing and counts in the books what it is asked and has no answer for, each question once.

    With ``tally_of`` every question counts, in the tally that this gives.
    """

    def __init__(
        self, name: str, spec: Model, books: Books, *, tally_of: TallyOf | None = None, **options: Any
    ) -> None:
        super().__init__(name, spec, books, **options)
        self._tally_of, self._met = tally_of, set[str]()

    async def ask(
        self,
        prompt: Prompt,
        fields: Mapping[str, str],
        parse: Callable[[str], T],
        *,
        images: Sequence[Path] = (),
        temperature: float = 0.0,
        max_tokens: int | None = None,
        draw: int = 0,
        form: Form | None = None,
    ) -> Answer[T]:
        """Count the question."""
        tally = (self._tally_of or self._in_books)(self.step, self.name, prompt.name)
        tally.asked += 1
        question = self._question(prompt.render(fields), await self._look_at(images), temperature, max_tokens, draw)
        if self._tally_of is None and (question.key in self._met or self._books.find(question.key)):
            tally.cached += 1
        else:
            self._met.add(question.key)
            into, out = question.tokens
            tally.tokens_in += into
            tally.tokens_out += out
            tally.spent += self._cost(into, out)
        return Answer(None, "unparsed", "")

    async def draw(self, *_: Any, **__: Any) -> None:
        """Nothing: each draw is counted where it is asked for."""

    def _in_books(self, step: str, model: str, _prompt: str) -> Tally:
        return self._books.tally(step, model)

    def _identity(self, temperature: float) -> str:
        # it may take a hub, or minutes for large weights
        return super()._identity(temperature) if self._tally_of is None else ""
