"""What an endpoint does beyond one answer in free words: several answers to a request, answers of a stated form.

Invariant: what it does is found out by the first requests that ask for it; each lack is named once, and an answer that
was given is used whatever else was asked for. What an endpoint lacks changes how questions are sent, never which.

Log-probs are asked for nowhere: servers leave them out silently, or give those of given texts slowly and unstably; what
needs them scores texts with a model of this machine (``engine``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LOG = logging.getLogger(__name__)
TOGETHER = 16  # draws by one request, at most
FORM, SEVERAL = "response_format", "n"  # in a request
_NAMES_OF_FORM = (FORM, "json_schema", "schema", "structured output", "guided", "grammar")  # in refusals


@dataclass(frozen=True)
class Form:
    """What an answer has to look like.

    Attributes:
        name: of the form, in letters and digits.
        schema: its JSON schema, as strict endpoints take it: every key is required, and no other one is allowed.
        reads: raises UnparsedError (a ValueError) for a text that is not of this form.
    """

    name: str
    schema: Mapping[str, Any]
    reads: Callable[[str], Any]

    def body(self) -> dict[str, Any]:
        """What a request says of it."""
        told = {"name": self.name, "strict": True, "schema": self.schema}
        return {FORM: {"type": "json_schema", "json_schema": told}}


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an object that has these properties and no others, by their schemas."""
    return {
        "type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


class Capabilities:
    """Of one endpoint.

    Args:
        place: its address and model, for notes.
        several: answers to one request, by ``n``; None: nobody has tried.
        form: ``response_format``; None: nobody has tried, or what came says nothing.

    Attributes:
        most: answers that one request brings, at most.
        trying_several, trying_form: who tries first holds them.
    """

    def __init__(self, place: str = "", *, several: bool | None = None, form: bool | None = None) -> None:
        self._place, self.several, self.form, self.most = place, several, form, TOGETHER
        self.trying_several, self.trying_form = asyncio.Lock(), asyncio.Lock()
        self._refused_several = self._failed_form = 0

    def gave(self, count: int, of: int) -> None:
        """So many answers came to a request for several."""
        if count == 1 < of:
            self._without_several("ignores")
        elif count < of:
            if self.several is None or count < self.most:
                self.most = count
                self._note("gives %d answers to a request at most: others are asked for by further ones", count)
            self.several = self.several is not False
        elif self.several is None:
            self.several = True

    def refused_several(self, failed: bool = False) -> None:
        """It would have none of a request with ``n``: of the first one it may be the question that it does not like.

        ``failed``: it did not refuse it, but came to no answer.
        """
        if self.several is None or (self.several and failed):
            self._refused_several += 1
            if self._refused_several > 1:
                self._without_several("fails at" if failed else "refuses")

    def may_refuse_form(self, said: str) -> bool:
        """Whether a refusal of a request with a form may be for the form: it has held to none yet, or names it."""
        return self.form is None or _names_form(said)

    def refused_form(self, said: str, *, failed: bool = False) -> None:
        """It would have none of a request with a form, and answered the same without one.

        Args:
            said: what it said.
            failed: it did not refuse it, but came to no answer, which may pass.
        """
        self._failed_form += 1
        if self.form is False or (failed and not _names_form(said) and self._failed_form < 2):
            return
        self.form = False
        self._note("%s %s: answers are asked for without it", "fails at" if failed else "refuses", FORM)

    def answered_in(self, form: Form, text: str) -> None:
        """An answer to a request with a form, which the model has ended itself."""
        try:
            form.reads(text)
        except ValueError:
            if self.form is not False:
                self.form = False
                self._note("ignores %s: answers are read as strictly all the same", FORM)
        else:
            self.form = True if self.form is None else self.form

    def _without_several(self, does: str) -> None:
        """One answer to a request from now on."""
        if self.several is not False:
            self.several = False
            self._note("%s n: draws are asked for one by one", does)

    def _note(self, told: str, *values: Any) -> None:
        _LOG.warning("note: %s " + told, self._place, *values)


def _names_form(said: str) -> bool:
    return any(name in said.lower() for name in _NAMES_OF_FORM)
