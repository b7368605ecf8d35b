"""A stranger's tokenizer and chat template are tried in a process that may be ended, before this one uses them.

Invariant: what passed has read, written and rendered a text of a post's length within stated time, memory and length;
nothing else is judged here: what is wrong without being endless is for the loader, and the first request, to say.
The functions that the other process calls import neither torch nor transformers.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base.bounded import OutOfBoundsError, call_bounded
from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import TrifacetError

SECONDS = 5.0  # a vocabulary of 260,000 tokens takes one
MEMORY = 2_000_000_000  # bytes; such a vocabulary takes some 400 MB
LONGEST = 1_000_000  # characters or tokens of what becomes of the text
TEXT = (string.printable + "äöüßéñçøåłžğ – “quoted” … 日本語 العربية हिन्दी 🙂 ") * 12
_passed: set[str] = set()


def try_tokenizer(file: Path) -> None:
    """Read a text by the tokenizer of ``file`` (tokenizer.json) and write it again, once for each content.

    Raises:
        TrifacetError: not within the bounds.
    """
    digest = file_digest(file)
    if digest in _passed:
        return
    try:
        call_bounded(_read_and_write, str(file), seconds=SECONDS, memory=MEMORY)
    except OutOfBoundsError as error:
        raise TrifacetError(
            f"{file}: a text of {len(TEXT)} characters is too much for its normalizer, pre_tokenizer or decoder "
            f"({error}); use the tokenizer of the base model"
        ) from None
    _passed.add(digest)


def try_template(name: str, template: str, messages: Sequence[Mapping[str, Any]], tokens: Mapping[str, Any]) -> None:
    """Render a conversation, its answer still to come, by a chat template, once for each.

    Args:
        name: of the template, for messages.
        template: in Jinja.
        messages: as the template is given them.
        tokens: the tokenizer's special tokens by name.

    Raises:
        TrifacetError: not within the bounds.
    """
    digest = json_digest([template, messages])
    if digest in _passed:
        return
    try:
        call_bounded(_render, template, list(messages), dict(tokens), seconds=SECONDS, memory=MEMORY)
    except OutOfBoundsError as error:
        raise TrifacetError(
            f"{name}: the chat template is too much for a request of {len(TEXT)} characters ({error}); use that of the "
            "base model"
        ) from None
    _passed.add(digest)


def _read_and_write(file: str) -> None:
    from tokenizers import Tokenizer

    with _bounds_alone():
        tokenizer = Tokenizer.from_file(file)
        ids = tokenizer.encode(TEXT).ids
        _bound(len(ids), "tokens")
        _bound(len(tokenizer.decode(ids, skip_special_tokens=False)), "characters")


def _render(template: str, messages: list[Any], tokens: dict[str, Any]) -> None:
    """As transformers renders, so far as time and length go: its own module takes seconds to import."""
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        tags = frozenset({"generation"})  # type: ignore[assignment] # never changed

        def parse(self, parser: Any) -> list[nodes.Node]:
            next(parser.stream)
            found: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return found

    def to_json(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"ensure_ascii": False, **options})

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    jinja = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    jinja.filters["tojson"] = to_json
    jinja.globals |= {"raise_exception": raise_exception, "strftime_now": lambda form: form}
    given = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True, **tokens}
    length = 0
    with _bounds_alone():
        for piece in jinja.from_string(template).generate(**given):
            length += len(piece)
            _bound(length, "characters")


@contextmanager
def _bounds_alone() -> Iterator[None]:
    """What goes wrong in the block without being too much is not judged here."""
    try:
        yield
    except (OutOfBoundsError, MemoryError):
        raise
    except Exception:
        return


def _bound(length: int, what: str) -> None:
    if length > LONGEST:
        raise OutOfBoundsError(f"makes more than {LONGEST} {what}")
