"""Whether what was exported still says the same to the program it is for, which loads it anew in a new process.

Invariant: nothing is verified that was not asked: the same tokens, and the same log-probs or best tokens.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.errors import TrifacetError, first_line
from trifacet.publishing.probing_texts import SIZES, TEXTS, Said, largest_difference

Verdict = Literal["verified", "converts only", "not supported"]
MOST = 1e-5  # nats by which a token's log-prob may differ, all computing being in float32
ADAPTED = 1e-3  # the same between an adapter beside its base and merged into it: another order of sums
LLAMA = "xllamacpp"


@dataclass(frozen=True)
class Check:
    """What came of asking one program.

    Args:
        program: transformers, peft or llama.cpp.
        verdict: *verified*: it says the same; *converts only*: the files are there, but it says something else or
            could not be asked; *not supported*: it cannot load them.
        why: in words.
        figures: what was measured.
    """

    program: str
    verdict: Verdict
    why: str
    figures: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """It as JSON."""
        return {"program": self.program, "verdict": self.verdict, "why": self.why, **self.figures}


def check_plainly(folder: Path, base: str | None, request: str, expected: Sequence[Said]) -> Check:
    """Ask transformers, or with ``base`` PEFT on it, for the log-probs that are ``expected``."""
    program = "peft" if base else "transformers"
    found = _elsewhere(say_plainly, str(folder), base, request)
    if isinstance(found, str):
        return Check(program, "not supported", found)
    apart = largest_difference(expected, found)
    if apart is None:
        return Check(program, "converts only", "its processor makes other tokens of the same picture and texts")
    tokens = sum(len(one.logps) for one in expected)
    figures = {"tokens": tokens, "largest_difference": apart}
    told = f"log-probs of {tokens} tokens under {len(SIZES)} pictures differ by {apart:.1e} nats at most"
    return Check(program, "verified" if apart <= MOST else "converts only", told, figures)


def say_plainly(folder: str, base: str | None, request: str) -> list[Said]:
    """What the exported model says, by transformers (and PEFT) alone; for another process."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    from trifacet.models.processors import read_processor
    from trifacet.publishing.probing_texts import said_of

    source = base or folder
    model, info = AutoModelForImageTextToText.from_pretrained(
        source, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
    )
    odd = {key for key, *_ in info["mismatched_keys"]}
    if wrong := sorted(odd.union(info["missing_keys"], info["unexpected_keys"])):
        raise TrifacetError(f"{len(wrong)} weights do not fit, {wrong[0]} first")
    if base:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, folder)
    return said_of(model.eval(), read_processor(folder, AutoConfig.from_pretrained(source)), request)


def check_llama(model: Path, projector: Path, request: str, expected: Sequence[Said]) -> Check:
    """Ask llama.cpp for the first tokens of an answer about each picture.

    Args:
        model: GGUF of the language model.
        projector: that of the vision encoder.
        request: what is asked.
        expected: what transformers says.
    """
    if importlib.util.find_spec(LLAMA) is None:
        return Check("llama.cpp", "converts only", f"nobody was asked: pip install {LLAMA}, then --check")
    found = _elsewhere(say_by_llama, str(model), str(projector), request)
    if isinstance(found, str):
        return Check("llama.cpp", "not supported", found)
    from trifacet.publishing.llama import compared

    same, told, figures = compared(found, expected[:: len(TEXTS)])
    return Check("llama.cpp", "verified" if same else "converts only", told, figures)


def say_by_llama(model: str, projector: str, request: str) -> Any:
    """What llama.cpp says; for another process, which it may end."""
    from trifacet.publishing.llama import ask
    from trifacet.publishing.probing_texts import picture

    return ask(model, projector, request, [picture(size) for size in SIZES])


def _elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result in a new process; why there is none, as text."""
    try:
        return next(call_many(function, [arguments], processes=1))
    except OutOfBoundsError as error:
        return str(error)
    except TrifacetError as error:
        return first_line(error)
