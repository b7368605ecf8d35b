"""Gate, biases and held-out metrics as tables.

Invariant: a field that is not known by name is told all the same, as a table of its numbers; every table has a bound.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from trifacet.reports.evolving.examples import LONGEST, clipped

ROWS, COLUMNS = 40, 12  # of a table at most
TABLES = 24  # of a round
MISTAKES = 24
_BLOCK = {
    "passed": "Within bounds",
    "precision": "Precision",
    "false_accepts": "False accepts",
    "recall": "Recall",
    "malformed": "Malformed",
    "yes_share": "Says yes, balanced",
    "probes": "Probes",
    "right": "Right ones",
    "wrong": "Wrong ones",
}
_CONTROL = {"agreement": "Right", "drop": "Less right", "same": "Same verdict", "malformed": "Malformed"}


@dataclass(frozen=True)
class Cell:
    """A value; ``spread`` is its interval, ``good`` whether it is as it should be (None: nobody says)."""

    text: str
    spread: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class Table:
    """A table of cells; ``note`` says how to read it, ``corner`` what its rows are."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    note: str = ""
    corner: str = "Name"


# --- gate -------------------------------------------------------------------------------------------------------


def gate_shown(gate: Mapping[str, Any]) -> dict[str, Any]:
    """The gate's document (``evolving.gate_document``) as its template has it."""
    return {
        "passed": gate.get("passed"),
        "skipped": clipped(gate.get("skipped") or "", 300),
        "bounds": _mapping(gate.get("bounds")),
        "level": gate.get("level"),
        "form": clipped(gate.get("form") or "", 60),
        "votes": gate.get("votes"),
        "failures": [clipped(_mapping(one).get("told", ""), 300) for one in (gate.get("failures") or [])[:ROWS]],
        "few": [clipped(name, 80) for name in (gate.get("few") or [])[:ROWS]],
        "tasks": _tasks(gate),
        "kinds": _kinds(_mapping(gate.get("kinds"))),
        "controls": [(clipped(name, 60), *_control(_mapping(one))) for name, one in _items(gate.get("controls"))],
        "mistakes": [_mistake(_mapping(one)) for one in (gate.get("mistakes") or [])[:MISTAKES]],
    }


def _tasks(gate: Mapping[str, Any]) -> Table | None:
    blocks = [*_items(gate.get("tasks"))]
    if gate.get("all") and len(blocks) != 1:
        blocks.append(("all together", gate["all"]))
    rows = [(worded(name), [_bounded(key, _mapping(block).get(key), gate) for key in _BLOCK]) for name, block in blocks]
    return Table("", list(_BLOCK.values()), rows, corner="Task") if rows else None


def _bounded(key: str, value: Any, gate: Mapping[str, Any]) -> Cell:
    if key == "passed":
        return Cell("too few to say" if value is None else "yes" if value else "no", good=value)
    return cell(value)


def _kinds(kinds: Mapping[str, Any]) -> Table | None:
    rows = []
    for name, one in list(kinds.items())[:ROWS]:
        told = _mapping(one)
        truth = "right" if told.get("label") else "wrong"
        rows.append((worded(name), [Cell(truth), cell(told.get("accepted")), cell(told.get("malformed"))]))
    return Table("", ["Truth", "Accepted", "Malformed"], rows, corner="How it was made") if rows else None


def _control(one: Mapping[str, Any]) -> tuple[str, bool | None, list[tuple[str, Cell]]]:
    values = [(title, cell(one[key])) for key, title in _CONTROL.items() if key in one]
    expected = one.get("as_expected")
    return clipped(one.get("told") or "", 300), expected if isinstance(expected, bool) else None, values


def _mistake(one: Mapping[str, Any]) -> dict[str, str]:
    reasons = "; ".join(f"{worded(name)}: {said}" for name, said in _items(one.get("reasons")))
    return {
        "task": clipped(one.get("task") or "", 80),
        "kind": worded(one.get("kind") or ""),
        "truth": "right" if one.get("label") else "wrong",
        "outcome": clipped(one.get("outcome") or "", 60),
        "reference": clipped(one.get("reference") or "", LONGEST // 2),
        "answer": clipped(one.get("answer") or "", LONGEST // 2),
        "reasons": clipped(reasons or one.get("raw") or "", LONGEST // 2),
    }


# --- held-out samples -------------------------------------------------------------------------------------------


def outcomes(rounds: Sequence[Mapping[str, Any]], aligned: Mapping[str, Any] = MappingProxyType({})) -> Table | None:
    """What training came to on held-out samples, a row for each training; None where nothing was measured.

    ``aligned``: the outcome of the alignment at the end.
    """
    told = [
        (f"round {one['round']}, {worded(role)}", found)
        for one in rounds[-ROWS:]
        for role, found in one["metrics"].items()
    ]
    told += [("alignment", aligned)] if aligned else []
    rows = [(name, _outcome(found)) for name, found in told if isinstance(found, Mapping) and "metric" in found]
    columns = ["Metric", "Its model", "The model before", "p", "Samples", "Outcome"]
    return Table("", columns, rows, corner="Training") if rows else None


def _outcome(told: Mapping[str, Any]) -> list[Cell]:
    harm = told.get("harm")
    return [
        Cell(worded(told["metric"])),
        cell({"value": told.get("value"), "interval": told.get("interval")}),
        Cell(f"{_said(told.get('its_value'))} ({clipped(told.get('against'), 40)})"),
        Cell(f"{told['p']:.2g}" if isinstance(told.get("p"), float) else "–"),
        cell(told.get("samples")),
        Cell("worse" if harm else "not worse", good=not harm),
    ]


# --- biases -----------------------------------------------------------------------------------------------------

_FEATURES = {
    "longer": "more characters",
    "list_mark": "begins as a list",
    "full_stop": "ends in a full stop",
    "sentences": "more sentences",
    "lines": "more lines",
    "digits": "has a digit",
}
_VARIETY = {
    "sampled": "answers",
    "distinct": "distinct ones",
    "distinct_share": "share of distinct ones",
    "self_bleu": "self-BLEU",
}
_KNOWN = (
    "accept_rate",
    "malformed",
    "auc",
    "overlap",
    "copies",
    "saw_reference",
    "variety",
    "yes_share",
    "log_prob",
    "judge",
)
_JUDGE = {
    "first": "the text shown first",
    "consistent": "consistent",
    "unread": "not read",
    "longer": "the longer text",
}
_COUNTED = ("samples", "answers", "verdicts", "feedback")


def biases_shown(biases: Mapping[str, Any]) -> list[Table]:
    """A round's document of biases (``evolving.biases``) as tables."""
    if not all(name in biases for name in ("accept_rate", "auc", "overlap")):
        return tables_of(biases)
    rates, unread = _mapping(biases["accept_rate"]), _mapping(biases.get("malformed"))
    found, copies = [], _mapping(biases.get("copies"))
    for key, corner in (("origins", "Origin"), ("tasks", "Task")):
        names = [("all together", rates.get("all"), unread.get("all"))]
        names += [(name, one, _mapping(unread.get(key)).get(name)) for name, one in _items(rates.get(key))]
        columns, note = (
            ["Accepted", "Malformed"],
            "Of the answers with a verdict that could be read; malformed: of all verdicts.",
        )
        rows = [(worded(name), [cell(one), cell(lost)]) for name, one, lost in names]
        if key == "origins" and copies:
            columns, note = [*columns, "Copies"], f"{note} Copies: answers that are the reference, word for word."
            rows = [
                (shown, [*cells, cell(copies.get(name))])
                for (shown, cells), (name, *_) in zip(rows, names, strict=True)
            ]
        found.append(Table(f"Accepted, by {corner.lower()}", columns, rows, note, corner))
    rows = [(_FEATURES.get(name, worded(name)), [cell(one), _counted(one)]) for name, one in _items(biases["auc"])]
    note = (
        "Of an accepted and a refused answer of one sample the chance that the accepted one has it more; 0.50: no bias."
    )
    found.append(Table("Does the form decide?", ["Chance", "Pairs"], rows, note, "Form"))
    rows = [
        (
            f"{name} word{'' if name == '1' else 's'}",
            [cell(_mapping(one).get(key)) for key in ("normal", "revised", "difference")],
        )
        for name, one in _items(biases["overlap"])
    ]
    note = (
        "Share of an answer's runs of so many words that the reference has. Revised ones far above normal ones: "
        "feedback hands the reference on, and what is trained on it is imitation."
    )
    found.append(Table("Words of the reference", ["Normal", "Revised", "Difference"], rows, note, "Runs of words"))
    note = "Of the normal answers of a sample, as a mean. Fewer distinct ones from round to round: the model collapses."
    rows = [(_VARIETY.get(name, worded(name)), [cell(one)]) for name, one in _items(biases.get("variety"))]
    rows += [(f"share of yes, {worded(name)}", [cell(one)]) for name, one in _items(biases.get("yes_share"))]
    if "saw_reference" in biases:
        rows.append(("feedback that saw the reference", [cell(biases["saw_reference"])]))
    found.append(Table("Variety, and yes", ["Value"], rows, note, "Measure"))
    if biases.get("log_prob"):
        note = (
            "Mean nats per token of accepted answers under the generator. Far below normal ones: hardly learnt by DPO."
        )
        rows = [(worded(name), [cell(one), _counted(one)]) for name, one in _items(biases["log_prob"])]
        found.append(Table("Log-prob of accepted answers", ["Nats per token", "Answers"], rows, note, "Origin"))
    if "judge" in biases:
        note = (
            "Shown first, longer: the share of the judge's answers, or of what it decided, for such a text; 0.50: no "
            "bias. Consistent: both orders say the same."
        )
        rows = [(_JUDGE.get(name, worded(name)), [cell(one), _counted(one)]) for name, one in _items(biases["judge"])]
        found.append(Table("Place and length, to the judge", ["Share", "Of"], rows, note, "Measure"))
    rest = {name: one for name, one in biases.items() if name not in (*_KNOWN, *_COUNTED)}
    return found + tables_of(rest)


def _counted(value: Any) -> Cell:
    return cell(_mapping(value).get("count"))


# --- anything ---------------------------------------------------------------------------------------------------


def tables_of(document: Mapping[str, Any]) -> list[Table]:
    """A nested document as tables: single numbers in the first, each mapping in one of its own."""
    alone = [(name, value) for name, value in document.items() if _is_alone(value)]
    found = [Table("", ["Value"], [(worded(name), [cell(value)]) for name, value in alone[:ROWS]])] if alone else []
    found += [_table(worded(name), value) for name, value in document.items() if value and not _is_alone(value)]
    return found[:TABLES]


def worded(name: Any) -> str:
    """A name of a field in words."""
    return clipped(str(name).replace("_", " "), 80)


def cell(value: Any) -> Cell:
    """A value as a cell shows it, with its interval where it has one."""
    if is_number(value):
        ends = value.get("interval")
        spread = f"[{_said(ends[0])}, {_said(ends[1])}]" if isinstance(ends, list) and len(ends) == 2 else ""
        return Cell(_said(value["value"]), spread)
    return Cell(_said(value))


def is_number(value: Any) -> bool:
    """Whether this is a number with its interval and what it is counted over."""
    return isinstance(value, Mapping) and "value" in value


def _said(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return clipped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 300)


def _table(title: str, value: Mapping[str, Any]) -> Table:
    inner = [one for one in value.values() if not _is_alone(one)]
    if len(inner) < len(value):
        return Table(title, ["Value"], [(worded(name), [cell(one)]) for name, one in list(value.items())[:ROWS]])
    columns = list(dict.fromkeys(str(name) for one in inner for name in one))[:COLUMNS]
    rows = [(worded(name), [cell(one.get(column)) for column in columns]) for name, one in list(value.items())[:ROWS]]
    return Table(title, [worded(column) for column in columns], rows)


def _is_alone(value: Any) -> bool:
    return not isinstance(value, Mapping) or is_number(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(_mapping(value).items())[:ROWS]
