"""Prompts: short files in the package, replaceable by the user's.

Invariant: what a field holds cannot end its own frame or pass for a placeholder. A field is put in as a JSON string,
in which quotes, line ends and what opens a model's control tokens ("<|im_end|>", "</s>", "[INST]") are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.opening import read_text

_MAX_BYTES = 100_000
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_DIVIDER = re.compile(r"^---[ \t]*$", re.MULTILINE)
# line ends that JSON leaves alone, lone surrogates, and the first character of a control token
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]|<(?=[^\s\d])|\[(?=/?[A-Z_]+\])")


@dataclass(frozen=True)
class Prompt:
    """A prompt's name, its text and the text's SHA-256.

    The text is a system part, a line of three hyphens and a user part, in which ``{word}`` stands for a field.
    """

    name: str
    text: str
    sha256: str

    @property
    def version(self) -> str:
        """What a manifest says of it."""
        return f"{self.name} sha256 {self.sha256}"

    @cached_property
    def parts(self) -> tuple[str, str]:
        """The system part, which may be empty, and the user part."""
        system, _, user = _DIVIDER.sub("\0", self.text, count=1).partition("\0")
        return system.strip(), user.strip()

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The fields that the user part asks for."""
        return frozenset(_PLACEHOLDER.findall(self.parts[1]))

    def render(self, fields: Mapping[str, str]) -> tuple[str, str]:
        """System and user part, with every field as a JSON string in its place; raises ValueError for other fields."""
        if set(fields) != self.placeholders:
            raise ValueError(f"prompt {self.name!r} takes {sorted(self.placeholders)}, not {sorted(fields)}")
        system, user = self.parts
        return system, _PLACEHOLDER.sub(lambda match: quote(fields[match[1]]), user)

    def without(self, fields: Collection[str]) -> Prompt:
        """The prompt less the lines of its user part that ask for one of ``fields``; it keeps its name and digest."""
        system, user = self.parts
        kept = [line for line in user.split("\n") if not set(_PLACEHOLDER.findall(line)) & set(fields)]
        return replace(self, text="\n".join([system, "---", *kept]))


def quote(text: str) -> str:
    """``text`` as a JSON string on one line, readable in any script, without control tokens."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def make_prompt(name: str, text: str) -> Prompt:
    """A prompt of this text.

    Raises:
        TrifacetError: the text is not of the form that ``Prompt`` describes.
    """
    text = text.replace("\r\n", "\n").strip() + "\n"
    prompt = Prompt(name, text, text_digest(text))
    if "\0" in text or not _DIVIDER.search(text) or not prompt.parts[1]:
        raise TrifacetError(f"prompt {name}: is not a system part, a line '---' and a user part; write it so")
    misplaced = _PLACEHOLDER.search(prompt.parts[0])
    if misplaced:
        raise TrifacetError(
            f"prompt {name}: {misplaced[0]} stands in the system part; put it below '---', posts are not to be obeyed"
        )
    return prompt


def load_prompt(name: str, file: Path | None = None, optional: Collection[str] = ()) -> Prompt:
    """The prompt ``name`` of the package, or the user's ``file`` in its place, which may ask for ``optional`` fields.

    Raises:
        TrifacetError: the file cannot be read, is no prompt, or has other placeholders than the package's.
    """
    ours = make_prompt(name, (resources.files("trifacet.llm") / "texts" / f"{name}.txt").read_text(encoding="utf-8"))
    if file is None:
        return ours
    prompt = make_prompt(str(file), read_text(file, _MAX_BYTES))
    if prompt.placeholders - set(optional) != ours.placeholders:
        wanted, there, may = (
            " ".join(f"{{{word}}}" for word in sorted(words))
            for words in (ours.placeholders, prompt.placeholders, optional)
        )
        told = f"{wanted}, and may ask for {may}" if may else wanted
        raise TrifacetError(f"prompt {file}: asks for {there or 'no field'}; prompt {name!r} has to ask for {told}")
    return Prompt(name, prompt.text, prompt.sha256)
