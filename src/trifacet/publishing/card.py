"""The model's card: what it is, how to ask it, how it was made and measured, and what nobody knows of it.

Invariant: every number is one of the run's files; names from recipes and data stand as plain text, in Markdown and in
YAML, and no path of the machine is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from trifacet.base.markdown import markdown_text
from trifacet.base.version import __version__
from trifacet.base.words import without_folders
from trifacet.evaluation.run_folder import ModelRun, Run
from trifacet.models.families import FAMILIES
from trifacet.publishing.origin import Origin, is_hub_id

_SPLITS = ("sft", "preference", "validation", "test")
_PARTS = {"vision": "vision encoder", "projector": "projector", "language": "language model"}


def card(origin: Origin, *, family: str, to: str, dtype: str, licence: str | None, base: str | None) -> str:
    """The text of README.md.

    Args:
        origin: the model.
        family: its ``model_type``.
        to: the target.
        dtype: type of the weights.
        licence: of the base, as its own card says; None: not known.
        base: name of the base; told where it is a hub's.
    """
    front = {
        "library_name": {"adapter": "peft", "gguf": "gguf"}.get(to, "transformers"),
        "pipeline_tag": "image-text-to-text",
        "tags": ["trifacet", "alt-text", *_objective_tag(origin)],
        **({"base_model": base} if is_hub_id(base) else {}),
        **({"license": _line(licence)} if licence else {}),
    }
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {markdown_text(origin.title)}\n\n{_opening(origin, family, to, dtype, base)}",
        f"## How to ask it\n\n{_asking(origin)}",
        f"## How it was trained\n\n{_training(origin)}",
        f"## What was measured\n\n{_measured(origin)}",
        f"## Limits\n\n{_limits(origin)}",
        f"## Licence\n\n{_licence(licence, base)}",
    ]
    return "\n\n".join(sections) + "\n"


def _line(text: str) -> str:
    """One line without control characters; YAML quotes the rest."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))[:200]


def _objective_tag(origin: Origin) -> list[str]:
    return [_line(_objective(origin))] if _objective(origin) else []


def _objective(origin: Origin) -> str:
    told = _done(origin).get("objective")
    return str(told.get("name", "")) if isinstance(told, Mapping) else ""


def _done(origin: Origin) -> Mapping[str, Any]:
    model = origin.run.model(origin.name) if origin.run else None
    return model.done if model else {}


def _opening(origin: Origin, family: str, to: str, dtype: str, base: str | None) -> str:
    what = FAMILIES[family].what if family in FAMILIES else family
    form = {
        "hub-folder": f"all weights, in {dtype}", "adapter": "a LoRA adapter for PEFT", "gguf": "GGUF for llama.cpp"
    }[to]  # fmt: skip
    of = f" It came from {markdown_text(without_folders(base))}." if base else ""
    return (
        f"A model that describes pictures in alt-text ({markdown_text(what)}; {form}).{of} Exported by Trifacet "
        f"{__version__}."
    )


def _asking(origin: Origin) -> str:
    asking = origin.asking
    lines = [
        "One picture and a text, by the chat template that comes with it:",
        f"- request: {markdown_text(asking.prompt)}",
        f"- the post around the picture, if there is one, follows after: {markdown_text(asking.context_label)}",
    ]
    if asking.lettering == "prompt":
        lines.append(f"- the words that stand in the picture follow after: {markdown_text(asking.lettering_label)}")
    return f"{lines[0]}\n\n" + "\n".join(lines[1:])


def _training(origin: Origin) -> str:
    if origin.run is None:
        why = " The files of its run could not be read." if origin.note else ""
        return f"Nothing is known: no run of Trifacet's lies around the model.{why}"
    done, recipe = _done(origin), origin.run.recipe
    rows = [("run", origin.run.name), ("stage", origin.name), ("objective", _objective(origin))]
    rows += [("terms", _terms(done)), ("trained parts", _trained(done))]
    rows += [(name.replace("_", " "), _number(done.get(name))) for name in ("samples", "steps", "learning_rate")]
    data = recipe.get("data")
    for split in _SPLITS if isinstance(data, Mapping) else ():
        rows.append((f"{split} data", without_folders(str(told)) if (told := _of(data, split)) else ""))
    if isinstance(data, Mapping) and data.get("world"):
        rows.append(("data", "a rendered world, made for demonstrations"))
    rows.append(("seed", _number(recipe.get("seed"))))
    return _table(("", ""), [(name, markdown_text(value)) for name, value in rows if value])


def _of(values: Any, key: str) -> Any:
    return values.get(key) if isinstance(values, Mapping) else None


def _terms(done: Mapping[str, Any]) -> str:
    told = done.get("objective")
    terms = told.get("terms") if isinstance(told, Mapping) else None
    terms = terms if isinstance(terms, Sequence) and not isinstance(terms, str) else ()
    return ", ".join(f"{one.get('weight', 1)} {one.get('name', '?')}" for one in terms if isinstance(one, Mapping))


def _trained(done: Mapping[str, Any]) -> str:
    told = done.get("trained")
    told = told if isinstance(told, Mapping) else {}
    return ", ".join(f"{_PARTS.get(part, part)}: {how}" for part, how in told.items())


def _number(value: Any) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return f"{value:g}" if known and isinstance(value, float) else f"{value:,}" if known else ""


def _measured(origin: Origin) -> str:
    model = origin.run.model(origin.name) if origin.run else None
    if origin.run is None or model is None or not model.metrics:
        return "Nothing: the run has no scores of this model."
    head, rows = _with_intervals(origin.run, model)
    if any("\\*" in row[0] for row in rows):
        head = ("metric (\\*: may differ from the metric's own program)", *head[1:])
    warned = f"\n\nThe texts are degenerate: {markdown_text(model.degenerate)}." if model.degenerate else ""
    return _table(head, rows) + warned


def _with_intervals(run: Run, model: ModelRun) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    compared = run.comparison
    if compared is None or model.name not in compared.models:
        known = {name: value for name, value in model.metrics.items() if value is not None}
        return ("metric", "value"), [(markdown_text(name), f"{value:.3f}") for name, value in known.items()]
    rows: list[tuple[str, ...]] = []
    for column in compared.columns:
        cell = compared.cells[model.name, column.key]
        if not math.isfinite(cell.value):
            continue
        sides = "" if cell.interval is None else " to ".join(f"{side:.3f}" for side in cell.interval)
        star = "\\*" if cell.unofficial else ""
        rows.append((markdown_text(column.title) + star, f"{cell.value:.3f}", sides, f"{column.units:,}"))
    return ("metric", "value", f"{compared.settings.level:.0%} interval", "posts"), rows


def _limits(origin: Origin) -> str:
    limits = [
        "It may tell of what is not in the picture: a person reads each text before it is published.",
        "What it learned are the habits of its data; other languages and kinds of picture were not looked at.",
        "Pictures that only decorate need an empty text, and charts a longer one elsewhere: it does not decide that.",
    ]
    concerns = _done(origin).get("concerns")
    for one in concerns if isinstance(concerns, list) else ():
        limits.append(f"Of its training: {markdown_text(str(one))}")
    return "\n".join(f"- {one}" for one in limits)


def _licence(licence: str | None, base: str | None) -> str:
    if licence:
        return f"That of its base, which says: {markdown_text(_line(licence))}. What the data allow is not known here."
    named = f" ({markdown_text(without_folders(base))})" if base else ""
    return f"To be filled in: that of its base{named}, which is not known here, and what the data allow."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
