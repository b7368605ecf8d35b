"""What a benchmark is: files of the user's, questions, perhaps a judge, and a score.

Invariant: a benchmark reads its own files and computes; it asks no model and knows no command, and the one thing that
it may write is a file of its own data folder, made by ``Preparation`` (pictures that travel inside its files go to the
user's cache, as those of any data file). So one file in ``known/`` that holds a ``BENCHMARK`` is all that a new one
takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.llm.prompts import Prompt
from trifacet.settings.section import Section
from trifacet.statistics.measures import Measure


@dataclass(frozen=True)
class Need:
    """A file that the user brings: where in the benchmark's folder it lies, what it is, and where it comes from.

    ``known`` maps SHA-256 to the release that has it. A file with another one is another release: its numbers are
    computed, and marked as not official. ``part``: it decides only about numbers and items whose names begin so.
    ``instead`` names files one of which will do where it is missing.
    ``unread_beside`` names files that are read in its place where one of them is there. ``made``: it comes out of
    ``prepare``, and is judged by the record of what it was made of (see ``made``). ``own``: the user's choice, which no
    release prescribes.
    """

    path: str
    what: str
    source: str
    known: Mapping[str, str] = field(default_factory=dict)
    required: bool = True
    part: str = ""
    instead: Sequence[str] = ()
    unread_beside: Sequence[str] = ()
    made: bool = False
    own: bool = False


@dataclass(frozen=True)
class Item:
    """One question. ``image`` is a path in the benchmark's image folder; None: the question is asked without one.

    ``extra`` is what only the benchmark itself understands: labels, types, groups. ``prompt`` is what a model is asked
    where that is more than the question, such as the options and how to answer; answers of others are still told by
    ``question``. ``more_images`` are shown after ``image``.
    """

    id: str
    question: str
    image: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    more_images: Sequence[str] = ()

    @property
    def images(self) -> tuple[str, ...]:
        """All pictures that are shown, in their order."""
        return () if self.image is None else (self.image, *self.more_images)


@dataclass(frozen=True)
class Answered:
    """An item with the model's answer, and with what the judge made of it where there is a judge.

    ``verdict`` is the value of ``Judge.parse``, or None. ``problem`` says why it is None although the judge was asked
    ("unparsed", "refused" ...): such answers are a class of their own and never a score.
    """

    item: Item
    answer: str
    verdict: Any | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Judge:
    """How a language model is asked about an answer.

    ``prompt`` names a file of ``llm/texts``, or is a prompt itself (``llm.prompts.make_prompt``). ``fields`` gives its
    placeholders, or None where no model need be asked (the verdict is then ``otherwise``). ``parse`` makes a JSON value
    of the judge's answer or raises UnparsedError. ``shows_image``: whether the judge sees the picture. ``needed`` says
    whether the benchmark's options want a judge at all.
    """

    prompt: str | Prompt
    fields: Callable[[Item, str], Mapping[str, str] | None]
    parse: Callable[[str], Any]
    otherwise: Callable[[Item, str], Any] = lambda item, answer: None
    shows_image: bool = False
    official: str = ""  # the judge model of the original; another one makes the numbers not official
    needed: Callable[[Any], bool] = lambda options: True


@dataclass(frozen=True)
class Outcome:
    """What the answers are worth. ``counts`` are integers to hold against the original's, such as {"random/tp": 1368}.

    ``notes`` are what a reader of the numbers must know. ``of_items`` are values of single items by id, for those who
    want to see which went wrong, such as {"random/1": {"correct": 0.0}}. By the first value of an item, else by the
    first measure whose unit it is, a comparison picks the items that it shows.
    """

    measures: Sequence[Measure]
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    of_items: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class NoOptions(Section):
    """For benchmarks that have none."""


@dataclass(frozen=True)
class Preparation:
    """A file of the data folder that is made of what the user has already.

    ``make(source, data, options)`` reads ``source``, writes into ``data`` and gives a line that says what was made; it
    raises DataError for a source that is not as ``what`` says. ``options`` is the model of its ``--set`` keys; None:
    they are the benchmark's.
    """

    what: str
    make: Callable[[Path, Path, Any], str]
    options: type[Section] | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    ``read`` gives the questions in the files' order, or raises DataError naming file, row and field. ``score`` takes
    one ``Answered`` per item and the options. ``images`` says where the pictures come from and how they are called;
    empty: there are none. ``options`` is the model of ``--set`` keys. ``aliases`` are other names of an item, by which
    answer files of others may call it. ``expected`` is the right answer to show to a reader, or "". ``tools`` opens
    what ``score`` cannot do without, as the options name it, and raises TrifacetError where it is not there: that is
    told before anything is asked or paid. ``free_prompt``: how a model is asked is its user's choice, so that a row of
    answers may carry another prompt than the item's question.
    """

    name: str
    title: str
    paper: str
    licence: str
    needs: Sequence[Need]
    images: str
    read: Callable[[Path], list[Item]]
    score: Callable[[Sequence[Answered], Any], Outcome]
    judge: Judge | None = None
    options: type[Section] = NoOptions
    prepare: Preparation | None = None
    aliases: Callable[[Item], Sequence[str]] = lambda item: ()
    expected: Callable[[Item], str] = lambda item: ""
    tools: Callable[[Any], object] = lambda options: None
    free_prompt: bool = False


class Result(NamedTuple):
    """A result that was read back; ``images`` is the folder of its pictures, which may have gone since."""

    benchmark: Benchmark
    answered: Sequence[Answered]
    outcome: Outcome
    images: Path | None = None

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.benchmark.name
