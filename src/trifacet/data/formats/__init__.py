"""Reading and writing samples in the formats of others and our own.

A format is a module with ``reader(path, label, lost)`` (a function from a row to a record's values, which tells what
of it is lost), ``to_row(sample, label)`` (None where the format has no row for the sample), ``LABEL`` (the line before
a post), ``NAMES`` (our field -> the file's) and ``NEEDS`` (what a row must have); one that is only read (``READ_ONLY``)
has no ``to_row``, and one of the user's own is a ``Format``.
Invariant: ids are unique in a file, and made of the row's number where it has none. Code of the user's own is run only
where its name came from the user: what a run's folder names is not imported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.extensions import is_extension, load_extension
from trifacet.base.opening import is_file
from trifacet.data.formats import llama_factory, mcm_dpo, ms_swift, trifacet, trl, vlfeedback
from trifacet.data.formats.chat import LABEL, OnLost, ignore
from trifacet.data.formats.losses import Losses
from trifacet.data.formats.pictures import refuse_addresses, with_pictures
from trifacet.data.placing import Placing
from trifacet.data.records import SAMPLE_TYPES, Sample, find_problems, make_sample
from trifacet.data.rows import OnProblem, Row, Values, iter_rows, plain, stop, write_rows

__all__ = [
    "FORMATS",
    "READ_ONLY",
    "Format",
    "detect_format",
    "format_called",
    "format_of",
    "iter_samples",
    "read_samples",
    "use_format",
    "write_samples",
]


@dataclass(frozen=True)
class Format:
    """A format of the user's own, which is read and not written.

    ``values`` takes a row of the file to the values of a record; ``NAMES`` maps a record's fields to the file's, for
    messages.
    """

    values: Callable[[Values], Values]
    NAMES: dict[str, str] = field(default_factory=dict)

    def reader(self, path: Path, label: str, lost: OnLost = ignore) -> Callable[[Values], Values]:
        """A function from a row to a record's values, which raises DataError where the user's own code fails."""

        def to_values(row: Values) -> Values:
            try:
                return with_pictures(self.values(row))
            except DataError:
                raise
            except Exception as error:
                problem = f"cannot be read by the format of your own ({type(error).__name__}: {error})"
                raise DataError(problem, fix="correct the row or the format") from error

        return to_values


FORMATS: dict[str, ModuleType] = {
    "trifacet": trifacet,
    "mcm-dpo": mcm_dpo,
    "trl": trl,
    "ms-swift": ms_swift,
    "llama-factory": llama_factory,
}
READ_ONLY: dict[str, ModuleType] = {"rlhf-v": mcm_dpo, "rlaif-v": mcm_dpo, "vlfeedback": vlfeedback}
_KNOWN = {**FORMATS, **READ_ONLY}
_LIKE_IMAGES = re.compile(r"image|img|picture|photo|pixel|video|media", re.IGNORECASE)
_OWN: dict[str, Format] = {}  # those that were named
_OF_ANY_KIND = {name for sample_type in SAMPLE_TYPES.values() for name in sample_type.model_fields}


def read_samples(
    path: str | Path,
    kind: str,
    format: str = "auto",
    *,
    label: str = LABEL,
    on_lost: Callable[[int, str], None] = lambda row, what: None,
) -> list[Sample]:
    """All samples of ``path`` as ``kind`` ("sft", "preference" or "test").

    A preference file may be read as sft (its chosen) or test (its chosen as reference), an sft file as test.

    Args:
        path: the file.
        kind: which records to make of its rows.
        format: a name of ``FORMATS`` or ``READ_ONLY``, that of one of the user's own (which is imported), or "auto" to
            look at the first row.
        label: the line that separates request and post, where the format has one user text for both.
        on_lost: as in ``iter_samples``.

    Raises:
        DataError: for the first thing that is wrong, by file, row and field; also for a file without rows.
    """
    use_format(format)
    samples = [sample for _, sample in iter_samples(path, kind, format, label=label, on_lost=on_lost)]
    if not samples:
        raise DataError("has no rows", fix="give a file with at least one sample", file=path)
    return samples


def use_format(name: str) -> None:
    """Let ``name`` be read, which the user gave: one of one's own is imported here.

    Raises:
        TrifacetError: there is no such format.
    """
    if name in ("auto", *_KNOWN):
        return
    if not is_extension(name, "format"):
        near = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are auto, {', '.join(_KNOWN)}"
        raise TrifacetError(f"unknown format {name!r}; {hint}")
    _OWN[name] = load_extension(name, "format", Format)


def format_called(name: str) -> ModuleType | Format:
    """The format of this name. Raises TrifacetError for one of the user's own that was not named in this process."""
    found = _KNOWN.get(name) or _OWN.get(name)
    if found is None:
        raise TrifacetError(f"the format {name!r} is code of somebody's own; name it with --format to have it run")
    return found


def iter_samples(
    path: str | Path,
    kind: str,
    format: str = "auto",
    *,
    label: str = LABEL,
    on_problem: OnProblem = stop,
    on_lost: Callable[[int, str], None] = lambda row, what: None,
) -> Iterator[tuple[int, Sample]]:
    """The samples of ``path`` with their row numbers, one at a time; arguments as in ``read_samples``.

    ``on_problem`` is called for every problem of every row, and reading goes on if it returns: the row is left out.
    ``on_lost`` is called for each thing that a row says and that no sample can hold, with its number.
    """
    path = Path(path)
    module = format_called(detect_format(path) if format == "auto" else format)
    lost: dict[str, None] = {}  # of one row, each once
    to_values = module.reader(path, label, lambda what: lost.update({what: None}))
    rows_of_ids: dict[str, int] = {}
    for number, row in iter_rows(path, on_problem, embedded=True):
        lost.clear()
        try:
            values = _as_kind(kind, {"id": f"row-{number}"} | plain(to_values(row)))
            refuse_addresses(values, module.NAMES)
        except DataError as problem:
            on_problem(_located(problem, path, number))
            continue
        try:
            sample = make_sample(kind, values)
        except DataError:
            for field, problem_text, fix in find_problems(kind, values):
                name = module.NAMES.get(field, field) if field else None
                on_problem(DataError(problem_text, fix=fix, file=path, row=number, field=name))
            continue
        if sample.id in rows_of_ids:
            problem_text = f"id {sample.id!r} is already that of row {rows_of_ids[sample.id]}"
            on_problem(DataError(problem_text, fix="make ids unique", file=path, row=number, field="id"))
            continue
        rows_of_ids[sample.id] = number
        for what in [*lost, *_likely_images(sample)]:
            on_lost(number, what)
        yield number, sample


def _likely_images(sample: Sample) -> list[str]:
    """Fields of a sample without a picture that nothing reads, and that are called as if they named one."""
    if sample.pictures:
        return []
    return [
        f"the column {name!r}, which no format reads: is it an image?"
        for name, value in sample.extra.items()
        if value and _LIKE_IMAGES.search(name)
    ]


def write_samples(
    samples: Iterable[Sample],
    path: str | Path,
    format: str,
    kind: str,
    *,
    label: str | None = None,
    prompt: str | None = None,
    images: Path | None = None,
    asked: bool = False,
) -> list[str]:
    """Write ``samples`` of one kind, whole or not at all, and say what the format could not hold.

    Args:
        samples: samples of ``kind``, with unique ids.
        path: ``.json`` (an array), ``.jsonl`` (lines) or, for the trifacet format, ``.parquet``.
        format: a name of ``FORMATS``. LLaMA-Factory's gets its entry in the dataset_info.json beside the file.
        kind: "sft", "preference" or "test".
        label: the line before the post where request and post are one text; None is the format's usual one.
        prompt: the request for samples without one of their own.
        images: the folder that image paths are relative to; they are written relative to the new file's (None: as they
            are). Pictures that came inside a data file are written into a folder beside the new one.
        asked: refuse to write samples without a request in the formats of others, where nobody adds one.

    Returns:
        One sentence per kind of loss; empty when everything was kept.

    Raises:
        TrifacetError: a sample of another kind, an id used twice, nothing to write, no place to write it.
    """
    path, module = Path(path), FORMATS[format]
    label = module.LABEL if label is None else label
    losses = Losses()
    rows: list[Values] = []
    kept: list[Sample] = []
    if format == "llama-factory":
        llama_factory.read_info(path.parent)  # a broken one is found before anything is written
        to_values = llama_factory.reader_of(None, label)  # not by an entry that is about to be replaced
    else:
        to_values = module.reader(path, label)
    seen: set[str] = set()
    placing, bare = Placing(path, images), 0
    for sample in samples:
        if not isinstance(sample, SAMPLE_TYPES[kind]):
            raise TrifacetError(f"sample {sample.id!r} is of kind {sample.kind}, not {kind}; read it as {kind}")
        if sample.id in seen:
            raise TrifacetError(f"two samples have the id {sample.id!r}; make ids unique")
        seen.add(sample.id)
        whole = sample if sample.prompt or not prompt else sample.model_copy(update={"prompt": prompt})
        whole = placing.placed(whole)
        row = module.to_row(whole, label)
        if row is None:
            losses.left_out(f"{format} needs {module.NEEDS}")
            continue
        row = _without_made_id(row, len(rows) + 1)
        try:
            again = to_values(row)
        except DataError as problem:  # its texts hold what the format means something else by
            losses.left_out(f"{format} would read it otherwise: {problem}")
            continue
        rows.append(row)
        kept.append(whole)
        bare += whole.prompt is None
        losses.compare(whole, _as_kind(kind, {"id": f"row-{len(rows)}"} | again))
    if not rows:
        raise TrifacetError(f"nothing to write to {path}: {' '.join(losses.sentences()) or 'there are no samples'}")
    if asked and bare and format != "trifacet":
        raise TrifacetError(f"{bare} samples have no request of their own, and rows of {format} need one: --prompt")
    placing.write()
    if format == "trifacet":
        trifacet.write(path, rows, kept, kind)
    else:
        write_rows(path, rows)
    if format == "llama-factory":
        llama_factory.write_entry(path, kind)
    missing = f"{placing.missing} image paths lead to no file from {images} and are written as they are"
    return losses.sentences() + ([missing] if placing.missing else [])


def detect_format(path: str | Path) -> str:
    """The format of ``path``, by its entry in a dataset_info.json beside it or by its first readable row.

    Raises:
        DataError: no such file, no row, or a row that belongs to none of the formats.
    """
    path = Path(path)
    if is_file(path) and llama_factory.entry_of(path) is not None:
        return "llama-factory"
    row = _first_row(path)
    if (name := format_of(row.values)) is None:
        named = sorted(row.values)
        fields = ", ".join([*named[:12], *(["..."] if len(named) > 12 else [])]) or "none"
        raise DataError(
            f"the format is not known by its fields ({fields})",
            fix=f"give one of {' | '.join(_KNOWN)}; where the command has --format, say which it is",
            file=path,
            row=row.number,
        )
    return name


def _first_row(path: Path) -> Row:
    problems: list[DataError] = []
    for row in iter_rows(path, problems.append):
        return row
    raise problems[0] if problems else DataError("has no rows", fix="give a file with at least one sample", file=path)


def format_of(row: Values) -> str | None:
    """The format that a row belongs to by its fields; None is none of them."""
    has = row.keys()
    rated = {"prompt", "completions"} <= has
    rejected = {"rejected_response", "rejected_messages", "rejected_images"} & has
    if rated or ("messages" in has and rejected) or ("query" in has and {"response", "rejected_response"} & has):
        return "vlfeedback" if rated else "ms-swift"
    in_turns = isinstance(row.get("prompt"), list) or isinstance(row.get("chosen"), list)
    if ("question" in has and not in_turns) or ("text" in has and {"image", "image_path"} & has):
        return "mcm-dpo"
    if {"conversations", "instruction"} & has or ("messages" in has and isinstance(row.get("chosen"), dict)):
        return "llama-factory"
    if "messages" in has:
        turns = row["messages"] if isinstance(row["messages"], list) else []
        contents = [turn.get("content") for turn in turns if isinstance(turn, dict)]
        return "ms-swift" if any(isinstance(text, str) and "<image>" in text for text in contents) else "trl"
    if "images" in has or {"chosen", "completion"} & has or isinstance(row.get("prompt"), list):
        return "trl"
    ours = has <= _OF_ANY_KIND and {"context", "response", "references"} & has  # a row without an image
    return "trifacet" if "image" in has or ours else None


def _as_kind(kind: str, values: Values) -> Values:
    """The values that a sample of ``kind`` has; a response serves as a test sample's reference."""
    if kind == "test" and "references" not in values and values.get("response") is not None:
        values = values | {"references": [values["response"]]}
    fields = SAMPLE_TYPES[kind].model_fields
    return {name: value for name, value in values.items() if name in fields or name not in _OF_ANY_KIND}


def _located(problem: DataError, path: Path, row: int) -> DataError:
    return DataError(problem.problem, fix=problem.fix, file=path, row=row, field=problem.field)


def _without_made_id(row: Values, number: int) -> Values:
    """An id that reading makes again need not be written: rows stay as they came."""
    return {k: v for k, v in row.items() if k != "id"} if row.get("id") == f"row-{number}" else row
