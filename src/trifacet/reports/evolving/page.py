"""``report.html`` of ``trifacet evolve``: funnel, gate, biases, examples, curves, costs, in one file without network.

Invariant: every text from samples, models and recipes is escaped by the template; pictures are small copies made by us;
the page has a bound that does not depend on the number of samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.files import write_atomically
from trifacet.base.words import without_folders
from trifacet.reports.evolving.curves import over_rounds, trainings
from trifacet.reports.evolving.examples import clipped, shown
from trifacet.reports.evolving.measured import biases_shown, gate_shown, outcomes
from trifacet.reports.words import duration, quantity
from trifacet.web.page import render_page

PAGE = "report.html"
FATES = ("pairs", "all accepted", "none accepted", "no pair", "refused")
REASONS = 6  # of a fate that are told apart
ORIGINS = 24  # of a round
PAIRS = 30  # kinds


@dataclass(frozen=True)
class Bar:
    """A row of the funnel: shares of a whole, each with the name of its colour, and what they say in words."""

    name: str
    pieces: Sequence[tuple[str, float, float]]  # class, x, width of 1000
    told: str
    rest: str


def write_evolve_page(document: Mapping[str, Any], folder: Path) -> Path:
    """Write the page of a run into ``folder``.

    Args:
        document: as ``evolving.document.evolve_document`` gives it.
        folder: where ``report.html`` comes to lie.

    Returns:
        The path of the page.

    Raises:
        TrifacetError: it cannot be written.
    """
    path = folder / PAGE
    write_atomically(path, render_evolve_page(document))
    return path


def render_evolve_page(document: Mapping[str, Any]) -> str:
    """The page as text; see ``write_evolve_page``."""
    rounds = document["rounds"]
    recipe_text = without_folders(document["recipe"])
    return render_page(
        __name__,
        "evolve.html.jinja",
        {"duration": duration, "quantity": quantity, "share": share, "clip": lambda text: clipped(text, 200)},
        doc=document,
        opening=opening(document),
        rounds=[_round(one) for one in rounds],
        gate=gate_shown(document["gate"]) if document["gate"] else None,
        biases=[(one["round"], found) for one in rounds if (found := biases_shown(one["biases"]))],
        examples=shown(document),
        charts=over_rounds(document),
        trainings=trainings(document),
        metrics=outcomes(rounds, document["outcome"]),
        pairs=_pair_kinds(rounds),
        fates=FATES,
        asked_endpoints=any(role["by"].startswith("endpoint ") for role in document["roles"]),
        seconds=sum(document["seconds"].values()),
        paid=sum(row["spent"] for row in document["costs"]),
        recipe_text=recipe_text,
    )


def opening(document: Mapping[str, Any]) -> str:
    """What came in and what came of it, in plain words."""
    total, rounds = document["total"], document["rounds"]
    if not rounds:
        return "No round has begun yet."
    judged = total["accepted"] + total["refused"]
    said = (
        f"{_count(total['samples'], 'sample')}, {_count(total['answers'], 'answer')} in {_count(len(rounds), 'round')}"
    )
    if judged:
        said += f", {share(total['accepted'], judged)} of those judged accepted"
    said += f": {_count(total['pairs'], 'pair')}."
    return said if document["finished"] else f"{said} The run is not finished."


def share(part: float, whole: float) -> str:
    """A share in percent, with as many decimals as tell it from none and from all."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.0f} %" if percent == int(percent) else f"{percent:.1f} %"


def _round(one: Mapping[str, Any]) -> dict[str, Any]:
    """A round as the templates have it: its counts, and the bars of its funnel."""
    origins = sorted(one["origins"].items(), key=lambda named: -named[1]["answers"])
    return {
        **one,
        "bars": _bars(one),
        "origins": [(clipped(name, 60), counts) for name, counts in origins[:ORIGINS]],
        "problems": [(clipped(name, 200), count) for name, count in list(one["total"]["problems"].items())[:REASONS]],
        "why": {
            what: [(clipped(why, 200), count) for why, count in list(found.items())[:REASONS]]
            for what, found in one["why"].items()
        },
        "conditions": [(name, count.get("failed", 0)) for name, count in one["conditions"].items()],
        "judged": one["total"]["accepted"] + one["total"]["refused"],
    }


def _bars(one: Mapping[str, Any]) -> list[Bar]:
    total, fates = one["total"], one["fates"]
    answers, candidates = total["answers"], total["answers"] - total["no_candidates"]
    gone = f"{quantity(total['no_candidates'])} are no candidates" if total["no_candidates"] else ""
    waiting = f"{quantity(total['waiting'])} not yet" if total["waiting"] else ""
    judged = total["accepted"] + total["refused"]
    unread = f"{quantity(total['malformed'])} malformed" if total["malformed"] else ""
    done = sum(fates.values())
    told = ", ".join(f"{quantity(fates[what])} {what}" for what in FATES if fates.get(what) and what != "pairs")
    return [
        Bar("Answers", _pieces(answers, left=candidates, lost=total["no_candidates"]), quantity(answers), gone),
        Bar(
            "Verdicts",
            _pieces(answers, left=judged, odd=total["malformed"]),
            quantity(total["verdicts"]),
            ", ".join(filter(None, (unread, waiting))),
        ),
        Bar(
            "Accepted",
            _pieces(answers, left=total["accepted"], lost=total["refused"]),
            quantity(total["accepted"]),
            f"{quantity(total['refused'])} refused ({share(total['accepted'], judged)} accepted)",
        ),
        Bar(
            "Samples with pairs",
            _pieces(
                one["samples"],
                left=fates.get("pairs", 0),
                even=fates.get("all accepted", 0),
                lost=fates.get("none accepted", 0),
                odd=fates.get("no pair", 0) + fates.get("refused", 0),
            ),
            quantity(fates.get("pairs", 0)),
            ", ".join(
                filter(
                    None,
                    (told, f"{quantity(one['samples'] - done)} not yet" if one["samples"] > done else ""),
                )
            ),
        ),
    ]


def _pieces(whole: float, **parts: int) -> list[tuple[str, float, float]]:
    found, x = [], 0.0
    for name, part in parts.items():
        width = 1000 * part / max(whole, 1)
        if part:
            found.append((name, round(x, 1), round(max(width, 2), 1)))
        x += width
    return found


def _pair_kinds(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Pairs of all rounds by the origins of both sides, the most frequent first."""
    found: dict[tuple[str, str], int] = {}
    for one in rounds:
        for kind in one["pair_origins"]:
            key = (clipped(kind["chosen"] or "unknown", 60), clipped(kind["rejected"] or "unknown", 60))
            found[key] = found.get(key, 0) + kind["pairs"]
    ranked = sorted(found.items(), key=lambda named: (-named[1], named[0]))
    return [(chosen, rejected, count) for (chosen, rejected), count in ranked[:PAIRS]]


def _count(number: int, thing: str) -> str:
    return f"{quantity(number)} {thing}{'' if number == 1 else 's'}"
