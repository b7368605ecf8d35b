"""Probes: answers of which it is known whether they are right.

Invariant: a probe's label is true by how it was made, or by whoever made the file; no model is asked. Of a sample as
many right ones are made as wrong ones, so that a verifier that draws lots is right half of the time.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.draws import generator
from trifacet.base.errors import DataError
from trifacet.base.images import resolve_inside
from trifacet.data.records import TestSample, make_sample
from trifacet.data.rows import iter_rows
from trifacet.evolving.exchanges import CONTRADICTIONS, polarity, reworded, surface
from trifacet.evolving.records import GIVEN, Answer
from trifacet.metrics.texts import words

ALL = "all"
REFERENCE, SECOND, SURFACE, WORDING = "reference", "second reference", "surface", "wording"
TRUNCATION, OTHER = "truncation", "another sample's"
CONTRADICTION = "contradiction: "
MADE_RIGHT = (REFERENCE, SECOND, SURFACE, WORDING)
MADE_WRONG = (TRUNCATION, OTHER, *(CONTRADICTION + kind for kind in CONTRADICTIONS))
_FIELDS = ("id", "task", "image", "prompt", "context", "reference", "answer", "label")
_NEEDED = ("id", "reference", "answer", "label")
_LEAST_WORDS = 8  # of a text that is cut: what is shorter may still say all that matters
_KEPT = 0.4  # of its words
_TRIES = 50  # other samples that are looked at
_ALIKE = 0.5  # of what a text says: another that says so much of it is no other
_LETTERING = re.compile(r"\b(?:read|reads|says?|words?|texts?|letters?|lettering|written|spell(?:ed)?|sign)\b", re.I)
_ALT_TEXT = re.compile(r"\balt[- ]?texts?\b", re.IGNORECASE)
_QUESTION = re.compile(r"\?|^\W*(?:how (?:many|much)|count|what|which|who|where|when|is|are|does|do|name)\b", re.I)
_FUNCTION = frozenset(
    words(
        "a an the is are was were be been am of in on at to and or it its this that these those there here with by for "
        "from as i you he she they his her their has have had do does picture image photo shows show can see seen"
    )
)
_DIGITS = {word: str(n) for n, word in enumerate(words("zero one two three four five six seven eight nine ten"))}


@dataclass(frozen=True)
class Probe:
    """An answer to a sample of which it is known whether it is right.

    Attributes:
        sample: picture, request and reference.
        answer: the answer, named by sample and number.
        task: the sample's.
        label: whether it is right.
        kind: how it was made; ``GIVEN`` of a file.
        unit: what it is drawn with when intervals are made: probes of one sample, or of one picture, belong together.
    """

    sample: TestSample
    answer: Answer
    task: str
    label: bool
    kind: str
    unit: str

    @property
    def id(self) -> str:
        """Its name."""
        return self.sample.id if self.kind == GIVEN else f"{self.sample.id}#{self.answer.answer}"


def task_of(sample: TestSample, field: str) -> str:
    """What ``field`` of a sample's ``extra`` calls its task; ``ALL`` where it says nothing."""
    value = sample.extra.get(field)
    named = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return named[:80] or ALL


# --- of a file --------------------------------------------------------------------------------------------------------


def read_probes(path: Path, images: Path) -> list[Probe]:
    """The probes of a file of rows {id, reference, answer, label}, and as they need it {task, image, prompt, context}.

    Args:
        path: JSON lines, an array, or Parquet.
        images: folder that the images lie in.

    Raises:
        DataError: naming file, row and field of the first thing that is wrong.
    """
    found: list[Probe] = []
    seen: dict[str, int] = {}
    for number, values in iter_rows(path):
        probe = _given(values, images, path, number)
        if (before := seen.setdefault(probe.sample.id, number)) != number:
            raise DataError(
                f"{probe.sample.id!r} is the id of row {before} too", fix="give each probe its own id", file=path,
                row=number, field="id",
            )  # fmt: skip
        found.append(probe)
    if not found:
        raise DataError("holds no probe", fix="write one object with id, reference, answer, label a line", file=path)
    return found


def _given(values: Mapping[str, Any], images: Path, path: Path, row: int) -> Probe:
    def wrong(field: str, problem: str, fix: str) -> DataError:
        return DataError(problem, fix=fix, file=path, row=row, field=field)

    for field in values:
        if field not in _FIELDS:
            near = difflib.get_close_matches(field, _FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known fields are {', '.join(_FIELDS)}"
            raise wrong(field, "is no field of a probe", hint)
    for field in _NEEDED:
        if values.get(field) is None:
            raise wrong(field, "is missing", "give it a value")
    label = values["label"]
    if not isinstance(label, bool):
        raise wrong(
            "label", f"is {type(label).__name__}, not true or false", "write true for a right answer, else false"
        )
    for field in ("answer", "reference", "task"):
        value = values.get(field)
        if (value is not None or field != "task") and not (isinstance(value, str) and value.strip()):
            raise wrong(field, "is no text, or an empty one", "write it as a text")
    plain = {field: values[field] for field in ("id", "image", "prompt", "context") if values.get(field) is not None}
    sample = make_sample("test", {**plain, "references": [values["reference"].strip()]}, file=path, row=row)
    assert isinstance(sample, TestSample)
    for picture in sample.pictures:
        try:
            resolve_inside(images, picture)
        except DataError as error:
            raise wrong("image", error.problem, error.fix) from None
    task = (values.get("task") or ALL).strip()[:80]
    answer = Answer(sample.id, 0, GIVEN, values["answer"].strip())
    return Probe(sample, answer, task, label, GIVEN, sample.image or sample.id)


# --- of references ----------------------------------------------------------------------------------------------------


def make_probes(samples: Sequence[TestSample], count: int, task: str, request: str, seed: int) -> list[Probe]:
    """Probes of at most ``count`` samples that have a reference, as many of each task as there are.

    Right ones: the reference itself, a second one, and the reference with other punctuation and case, or with one word
    for another that means the same. Wrong ones: the reference cut short (of a request that is no question: what is left
    may still answer one), with a number, name, colour, direction or "not" exchanged, and another sample's reference.

    Args:
        samples: to choose from.
        count: of samples.
        task: the field of ``extra`` that names a sample's task.
        request: what is asked of a sample without a request of its own.
        seed: of what is drawn.
    """
    pools: dict[str, list[TestSample]] = defaultdict(list)
    for sample in samples:
        if sample.references:
            pools[task_of(sample, task)].append(sample)
    found: list[Probe] = []
    for number, (name, sample) in enumerate(_chosen(pools, count, seed)):
        found += _made(sample, name, pools[name], request, seed, number)
    return found


def _chosen(pools: Mapping[str, list[TestSample]], count: int, seed: int) -> Iterator[tuple[str, TestSample]]:
    """Samples of the tasks in turn, each task's in a random order."""
    orders = {
        name: generator(seed, "probes", name).permutation(len(pools[name])).tolist()[:count] for name in sorted(pools)
    }
    turns = ((turn, name) for turn in range(count) for name in orders if turn < len(orders[name]))
    for _, (turn, name) in zip(range(count), turns, strict=False):
        yield name, pools[name][orders[name][turn]]


def _made(
    sample: TestSample, task: str, pool: Sequence[TestSample], request: str, seed: int, number: int
) -> Iterator[Probe]:
    reference, asked = sample.references[0].strip(), sample.prompt or request
    right = list(_right(sample, reference, asked, seed))
    wrong = list(_wrong(sample, reference, asked, pool, request, seed))
    each = min(len(right), len(wrong))
    alone = sample.model_copy(update={"references": (reference,)})
    texts = [(kind, text, True) for kind, text in _some(right, each, number)]
    texts += [(kind, text, False) for kind, text in _some(wrong, each, number)]
    for place, (kind, text, label) in enumerate(texts):
        yield Probe(alone, Answer(sample.id, place, kind, text), task, label, kind, sample.id)


def _some(texts: Sequence[tuple[str, str]], count: int, turn: int) -> list[tuple[str, str]]:
    """So many of them, beginning elsewhere for every sample."""
    return [texts[(turn + place) % len(texts)] for place in range(count)]


def _right(sample: TestSample, reference: str, asked: str, seed: int) -> Iterator[tuple[str, str]]:
    yield REFERENCE, reference
    if (changed := surface(reference)) is not None:
        yield SURFACE, changed
    if not about_lettering(asked):
        changed = reworded(reference, generator(seed, "probe", sample.id, WORDING))
        if changed is not None and changed != reference:
            yield WORDING, changed
    second = next((one.strip() for one in sample.references[1:] if words(one) != words(reference)), None)
    if second is not None:
        yield SECOND, second


def _wrong(
    sample: TestSample, reference: str, asked: str, pool: Sequence[TestSample], request: str, seed: int
) -> Iterator[tuple[str, str]]:
    made = []
    for kind, change in CONTRADICTIONS.items():
        changed = change(reference, generator(seed, "probe", sample.id, kind))
        if changed is not None and words(changed) != words(reference):
            made.append((CONTRADICTION + kind, changed))
    if made:  # one of them, in turn
        yield made[int(generator(seed, "probe", sample.id, CONTRADICTION).integers(len(made)))]
    if not is_question(asked) and (shorter := truncated(reference)) is not None:
        yield TRUNCATION, shorter
    others = generator(seed, "probe", sample.id, OTHER).permutation(len(pool)).tolist()[:_TRIES]
    for other in (pool[at] for at in others):
        text = other.references[0].strip()
        if other.pictures != sample.pictures and says_otherwise(reference, text, asked):
            yield OTHER, text
            break


def is_question(request: str) -> bool:
    """Whether a request asks for one thing, so that part of a reference may be the whole answer."""
    return _QUESTION.search(request) is not None


def about_lettering(request: str) -> bool:
    """Whether a request asks for words as they are written, for which no other word stands."""
    return _LETTERING.search(_ALT_TEXT.sub("", request)) is not None


def truncated(text: str) -> str | None:
    """The beginning of a text, less than half of its words; None of one that is too short to be cut."""
    found = list(re.finditer(r"\S+", text))
    if len(found) < _LEAST_WORDS:
        return None
    kept = text[: found[int(len(found) * _KEPT)].start()].rstrip(" \t\n,;:.-–")
    return f"{kept}."


def says_otherwise(reference: str, other: str, request: str) -> bool:
    """Whether ``other`` surely is no right answer where ``reference`` is: by the words that say something.

    To a question the two have no word in common that the question itself has not; else ``other`` has half of them at
    most. Where one begins with yes or no, the other begins with the opposite.
    """
    ours, theirs = polarity(reference), polarity(other)
    if ours is not None or theirs is not None:
        return ours is not None and theirs is not None and ours != theirs
    said = _said(reference)
    if is_question(request):
        asked = _said(request)
        return bool(said - asked) and bool(_said(other) - asked) and not (said - asked) & (_said(other) - asked)
    return bool(said) and len(said & _said(other)) <= _ALIKE * len(said)


def _said(text: str) -> set[str]:
    plain = (_DIGITS.get(word, word) for word in words(text) if word not in _FUNCTION)
    return {word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in plain}
