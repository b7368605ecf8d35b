"""The demo's language model, scripted: it proofreads, writes worse alt-text and judges, and misbehaves on demand.

It reads the messages alone: the fields of the prompts and the picture. It knows the world, as a real model
knows ours: spellings, names, and how things look.
Invariant: an answer is a function of the messages and of the misbehaviour asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from trifacet.demo.endpoint_server import Messages, last_text, request_images
from trifacet.demo.facts import COLOURS, COUNTS, NAMES, SHAPES
from trifacet.demo.raw_texts import without_typos
from trifacet.demo.seeing import look

_FIELD = re.compile(r'^([A-Z][A-Za-z -]*): (".*")$', re.MULTILINE)
_FOR = re.compile(r"\bfor ([A-Z][a-z]+)")
_INJECTION = re.compile(r"\b(?:ignore|forget)\b.*|\banswer ([AB])\b", re.IGNORECASE)
_VALUES: dict[str, dict[str, str]] = {  # word in a text -> the value that it states
    "name": {name.casefold(): name for name in NAMES},
    "colour": {colour: colour for colour in COLOURS},
    "shape": {word: shape for shape, plural in SHAPES.items() for word in (shape, plural)},
    "count": {word: str(count) for count, words in COUNTS.items() for word in (words, str(count))},
}
_LAZY = ("Here:", "Shown:", "See:", "Look:")  # what turns an alt-text into another one that is as good
_WRONG, _MISSING, _WORD, _DRAW = -3.0, -1.0, -0.06, 0.3  # what a judge takes off, and what is too little to choose by


@dataclass(frozen=True)
class Scribe:
    """Answers the messages of a chat request with a text, as ``ScriptedEndpoint`` wants it.

    Args:
        lazy: share of the attempts at a worse alt-text that come out as good as the given one.
        position_bias: share of the pairs for which the judge answers "A" whatever stands there.
        obeys_injections: do what a post says instead of the task.
    """

    lazy: float = 0.0
    position_bias: float = 0.0
    obeys_injections: bool = False

    def __call__(self, messages: Messages) -> str:
        """The answer; an apology where no task of ours is asked."""
        fields = {name: json.loads(value) for name, value in _FIELD.findall(last_text(messages))}
        picture = next((image.convert("RGB") for image in request_images(messages)), None)
        tasks: dict[str, Callable[[dict[str, str], Image.Image | None], dict[str, Any]]] = {
            "Text A": self._judge,
            "Alt-text": self._write,
            "Text": self._proofread,
        }
        for name, task in tasks.items():
            if name in fields:
                return json.dumps(task(fields, picture), ensure_ascii=False)
        return "I am sorry, I do not know what to do."

    def _proofread(self, fields: dict[str, str], picture: Image.Image | None) -> dict[str, Any]:
        text = fields["Text"]
        if self._obeyed(fields):
            return {"error": True, "text": "A"}
        corrected = without_typos(text)
        return {"error": corrected != text, "text": corrected if corrected != text else ""}

    def _write(self, fields: dict[str, str], picture: Image.Image | None) -> dict[str, Any]:
        if self._obeyed(fields):
            return {"alt_text": "A"}
        alt, tried = fields["Alt-text"], fields.get("Tried", "").splitlines()
        if _chance("lazy", alt, *tried) < self.lazy:
            return {"alt_text": f"{_LAZY[len(tried) % len(_LAZY)]} {alt[:1].lower()}{alt[1:]}"}
        rng = np.random.default_rng(_number("worse", alt, *tried))
        text = worse(alt, rng)
        while text in tried:
            text = worse(alt, rng)
        return {"alt_text": text}

    def _judge(self, fields: dict[str, str], picture: Image.Image | None) -> dict[str, Any]:
        a, b = fields["Text A"], fields["Text B"]
        if (order := self._obeyed(fields)) or _chance("bias", *sorted((a, b))) < self.position_bias:
            return {"better": order or "A"}
        seen = look(picture) if picture else {}
        name = _FOR.search(fields.get("Post", ""))
        facts = seen | ({"name": name[1]} if name and name[1] in NAMES else {})
        difference = quality(a, facts) - quality(b, facts)
        return {"better": "tie" if abs(difference) < _DRAW else "A" if difference > 0 else "B"}

    def _obeyed(self, fields: dict[str, str]) -> str | None:
        """What a text among the fields orders to answer, if this scribe lets itself be ordered about."""
        if not self.obeys_injections:
            return None
        found = _INJECTION.search(" ".join(fields.values()))
        return None if found is None else (found[1] or "A").upper()


def stated(text: str) -> dict[str, set[str]]:
    """Per fact the values that a text states."""
    words = re.findall(r"\w+", text.casefold())
    return {fact: {values[word] for word in words if word in values} for fact, values in _VALUES.items()}


def quality(text: str, facts: dict[str, str]) -> float:
    """How good an alt-text is, given what is true: nothing to take off is 0."""
    told, score = stated(text), _WORD * len(text.split())
    for fact, value in facts.items():
        if told[fact] - {value}:
            score += _WRONG
        elif value not in told[fact]:
            score += _MISSING
    return score


def worse(alt: str, rng: np.random.Generator) -> str:
    """An alt-text with a fact of ``alt`` changed, or so little in it that it could be any picture's."""
    changeable = [fact for fact, values in stated(alt).items() if values]
    if not changeable or rng.random() < 0.3:
        return str(
            rng.choice(["A nice picture of some things.", "Something that somebody made.", "See the post above."])
        )
    fact = str(rng.choice(changeable))
    value = sorted(stated(alt)[fact])[0]
    others = sorted({other for other in _VALUES[fact].values() if other != value})
    return _replaced(alt, fact, value, str(rng.choice(others)))


def _replaced(alt: str, fact: str, old: str, new: str) -> str:
    """``alt`` with the words for one value of a fact exchanged for those of another, in the same form and case."""
    forms: dict[str, tuple[str, str]] = {value: (value, value) for value in _VALUES[fact].values()}
    if fact == "shape":
        forms = {shape: (shape, plural) for shape, plural in SHAPES.items()}
    elif fact == "count":
        forms = {str(count): (word, str(count)) for count, word in COUNTS.items()}

    def exchanged(match: re.Match[str]) -> str:
        word = match[0]
        form = forms[new][1 if word.casefold() == forms[old][1].casefold() != forms[old][0].casefold() else 0]
        return form[:1].upper() + form[1:] if word[0].isupper() else form

    return re.sub(rf"\b(?:{'|'.join(forms[old])})\b", exchanged, alt, flags=re.IGNORECASE)


def _number(*key: str) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(key).encode("utf-8")).digest()[:8], "little")


def _chance(*key: str) -> float:
    """A number from 0 to 1 that belongs to ``key``."""
    return _number(*key) / 2**64
