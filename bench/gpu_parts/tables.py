"""What the parts found, as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contest.results import table as step_table

GIB = 2**30


def as_markdown(found: dict[str, Any]) -> str:
    """All parts of a run, in their order; what is missing says why."""
    machine = found["parts"].get("rate", {}).get("machine", {})
    head = ", ".join(f"{name} {machine[name]}" for name in ("torch", "transformers", "trl") if machine.get(name))
    lines = [
        f"{machine.get('processor', 'unknown device')}; {head or 'versions unknown'}; {found['seconds']:.0f} s in all"
    ]
    for name, part in found["parts"].items():
        lines += ["", f"### {TITLES[name]}", ""]
        lines += [f"{word}: {part[key]}" for key, word in ENDS.items() if key in part]
        if body := _BODIES[name](part):
            lines += ["", *body] if lines[-1] else body
    return "\n".join(lines)


TITLES = {
    "rate": "The card's matrix multiplication",
    "exactness": "The trie against plain transformers",
    "gpu": "A step at 1.6 billion weights, all of them trained",
    "gpu-7b": "A step at the size of LLaVA-1.5-7B, with LoRA",
    "attention": "Attention over tries",
    "writing": "Writing",
}
ENDS = {"left_out": "Left out", "failed": "Failed", "stopped": "Stopped"}


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A table whose first ``words`` columns are words and the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _value(row: dict[str, Any], key: str, form: str = ".3f", divided: float = 1.0) -> str:
    value = row.get(key)
    return "-" if value is None else format(value / divided, form)


def _ended(row: dict[str, Any]) -> str:
    return row.get("failed") or row.get("left_out") or ""


def _rate(part: dict[str, Any]) -> list[str]:
    rows = [
        [row["dtype"], f"{row['size']} x {row['size']}", _value(row, "flops_per_second", ".1f", 1e12)]
        for row in part.get("rows", [])
    ]
    return _grid(("type", "matrices", "TFLOP/s"), rows, 2) if rows else []


def _exactness(part: dict[str, Any]) -> list[str]:
    rows = [
        [
            f"`{row['family']}`", row["dtype"], f"{row['attention']}, a row per {row['rows']}",
            _value(row, "largest_difference", ".1e"), _value(row, "rounding", ".1e"), _value(row, "mean_logp", ".1f"),
            _ended(row),
        ]
        for row in part.get("rows", [])
    ]  # fmt: skip
    head = ("family", "type", "attention", "apart", "rounding alone", "log-probs about", "")
    return _grid(head, rows, 3) if rows else []


def _steps(part: dict[str, Any]) -> list[str]:
    notes = [f"* {note}" for note in part.get("notes", [])]
    if "run" not in part:
        return notes
    return ["```", step_table(part["run"]), "```", *([""] if notes else []), *notes]


_COLUMNS = (  # of attention: heads, keys, forms, divisors
    ("step, s per sample", "seconds_per_sample", ".4f", 1),
    ("forward of it", "forward_seconds_per_sample", ".4f", 1),
    ("peak, GiB", "peak_memory_bytes", ".2f", GIB),
    ("tokens of a row", "row_tokens", ".0f", 1),
    ("of a sample", "tokens", ".0f", 1),
    ("first step, s", "first_seconds", ".1f", 1),
    ("first of another length", "other_length_seconds", ".1f", 1),
    ("log-probs apart", "logp_difference", ".1e", 1),
    ("gradients apart", "gradient_difference", ".1e", 1),
)


def _attention(part: dict[str, Any]) -> list[str]:
    rows = [
        [row["attention"], *(_value(row, key, form, divided) for _, key, form, divided in _COLUMNS), _ended(row)]
        for row in part.get("rows", [])
    ]
    head = ("attention", *(head for head, *_ in _COLUMNS), "")
    about = f"{part.get('shape')}: batch {part.get('batch')}, {part.get('dtype')}, all seven terms of MCM-DPO."
    return [about, "", *_grid(head, rows)] if rows else []


def _writing(part: dict[str, Any]) -> list[str]:
    rows = []
    for row in part.get("rows", []):
        low, high = row["ratio_range"]
        rows.append(
            [
                f"{row['pictures']} x {row['draws']}", row["contestant"], _value(row, "seconds", ".2f"),
                f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})", f"{row['encoded']}", f"{row['same_texts']:.0%}",
                _value(row, "peak_memory_bytes", ".2f", GIB),
            ]
        )  # fmt: skip
    head = ("pictures x texts", "", "seconds", "ours / it", "pictures encoded", "texts as ours", "peak, GiB")
    about = (
        f"Prompts of {part.get('prompt_tokens')} tokens, {part.get('text_tokens')} tokens a text, {part.get('dtype')}."
    )
    return [about, "", *_grid(head, rows, 2)] if rows else []


_BODIES = {
    "rate": _rate,
    "exactness": _exactness,
    "gpu": _steps,
    "gpu-7b": _steps,
    "attention": _attention,
    "writing": _writing,
}
