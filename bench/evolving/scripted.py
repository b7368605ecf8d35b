"""Verifiers that do not look, and a judge that knows the truth: endpoints on loopback.

Invariant: an answer depends on the question and the name of the script alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.base.files import write_atomically
from trifacet.data.records import TestSample
from trifacet.demo.endpoint_server import Messages, ScriptedEndpoint, last_text, parts_of
from trifacet.llm.pictures import data_url, look_at
from trifacet.metrics.grounding import ground
from trifacet.settings.yaml_values import as_yaml

SIDE = 512  # to which pictures are scaled that are larger: none is
PORTS = {"verifier-lots": 47_611, "verifier-yes": 47_612, "judge": 47_613}  # an endpoint's file says the same each time
YES = {"verifier-lots": 0.5, "verifier-yes": 0.9}  # share of questions that are answered so
ERRS = 0.1  # share of the judge's answers that are drawn by lot
_FIELD = re.compile(r"^Text ([AB]): (.*)$", re.MULTILINE)


@contextmanager
def served(name: str, file: Path, answer: Callable[[Messages], str]) -> Iterator[None]:
    """An endpoint of this script; ``file`` is what a recipe names."""
    with ScriptedEndpoint(answer, port=PORTS[name]) as endpoint:
        values = {"base_url": endpoint.base_url, "model": endpoint.model, "image_side": SIDE}
        write_atomically(file, as_yaml(values))
        yield


def careless(name: str) -> Callable[[Messages], str]:
    """A verifier that says yes to a share of the questions, whatever they are."""
    return lambda messages: "yes" if _drawn(name, messages) < YES[name] else "no"


def judge(samples: Mapping[str, TestSample], images: Path) -> Callable[[Messages], str]:
    """A judge that prefers the text which states more facts of the picture's post rightly.

    Args:
        samples: with facts, by id; each has a picture of its own.
        images: the folder of the pictures.
    """
    truth = {
        _digest(data_url(look_at(images / str(one.image), SIDE))): one.extra for one in samples.values() if one.image
    }

    def answer(messages: Messages) -> str:
        texts = {side: json.loads(text) for side, text in _FIELD.findall(last_text(messages))}
        (shown,) = [part["image_url"]["url"] for part in parts_of(messages[-1]) if part["type"] == "image_url"]
        extra = truth[_digest(shown)]
        a, b = (ground(texts[side], extra).values["grounding"] for side in "AB")
        if (lot := _drawn("judge", messages)) < ERRS:
            return json.dumps({"better": "A" if lot < ERRS / 2 else "B"})
        return json.dumps({"better": "A" if a > b else "B" if b > a else "tie"})

    return answer


def _drawn(name: str, messages: Messages) -> float:
    """Evenly between 0 and 1, by the question."""
    said: list[Any] = [
        [part.get("text") or _digest(part["image_url"]["url"]) for part in parts_of(one)] for one in messages
    ]
    return int(json_digest([name, said])[:13], 16) / 16**13


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
