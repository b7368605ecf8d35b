"""What the report says of a model's own texts while it trained, and of how far the saved model is from its start.

Invariant: every number comes from ``samples.jsonl`` or ``done.json``; a row that lacks what it should have is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trifacet.base.bidi import isolated
from trifacet.evaluation.run_folder import number
from trifacet.reports.charts import Chart, chart, short
from trifacet.reports.plots import Line
from trifacet.training.drift import Look, looks

SHOWN = 3  # posts whose texts are shown step by step


@dataclass(frozen=True)
class Told:
    """What the model wrote of one post: (step, text), the text None where it is that of the step before."""

    post: str
    texts: list[tuple[int, str | None]]


@dataclass(frozen=True)
class Watched:
    """Curves of the model's own texts, and the texts of the first posts."""

    charts: list[Chart]
    told: list[Told]
    posts: int


def watched(rows: Sequence[Mapping[str, Any]], chart_id: str) -> Watched | None:
    """From the rows of ``samples.jsonl``; None where there are none."""
    known = [row for row in rows if number(row.get("step")) is not None and "text" in row and "at_limit" in row]
    if not known:
        return None
    seen = looks(known)
    ids = list(dict.fromkeys(str(row.get("id", "")) for row in known))
    return Watched(_charts(seen, chart_id), [_told(post, known) for post in ids[:SHOWN]], len(ids))


def _charts(seen: Sequence[Look], chart_id: str) -> list[Chart]:
    steps = [float(look.step) for look in seen]
    charts = [
        chart(
            "Words",
            "Length of its own texts. Steady growth, or a fall to a few words: length is being rewarded.",
            [Line("words", steps, [look.words for look in seen], 0)],
            f"{chart_id}-words",
            from_zero=True,
        ),
        chart(
            "Repetition",
            "Share of word pairs that stood in the text before. Rising from near 0: it begins to loop.",
            [Line("repetition", steps, [look.repetition for look in seen], 1)],
            f"{chart_id}-repetition",
            from_zero=True,
        ),
        chart(
            "Cut at the limit",
            "Share of texts that only the limit of new tokens ended. Rising: it forgets how to stop.",
            [Line("at the limit", steps, [look.at_limit for look in seen], 3)],
            f"{chart_id}-limit",
            from_zero=True,
        ),
    ]
    far = [(float(look.step), look.divergence) for look in seen if look.divergence]
    if far:
        count = min(divergence.texts for _, divergence in far)
        at = [step for step, _ in far]
        error = far[-1][1].error
        spread = f" ± {short(error)}" if math.isfinite(error) else ""
        lines = [
            Line("k1", at, [divergence.k1 for _, divergence in far], 2),
            Line("k3", at, [divergence.k3 for _, divergence in far], 4),
        ]
        charts.append(
            chart(
                "KL to the reference",
                f"Nats per text, two estimates from at least {count} texts that it drew; at the end "
                f"{short(far[-1][1].k1)}{spread}. Rising while accuracy stands still: over-optimisation.",
                lines,
                f"{chart_id}-kl",
                level=0.0,
                named=True,
            )
        )
    return charts


def _told(post: str, rows: Sequence[Mapping[str, Any]]) -> Told:
    texts: list[tuple[int, str | None]] = []
    before: str | None = None
    for row in rows:
        if str(row.get("id", "")) == post:
            text = str(row["text"])
            texts.append((int(row["step"]), None if text == before else text))
            before = text
    return Told(post, texts)


def changed(done: Mapping[str, Any]) -> str:
    """In words how far the saved model is from its start; "" where it was not compared."""
    found = done.get("difference")
    if not isinstance(found, Mapping):
        return ""
    keys = ("weights", "weights_changed", "relative", "logp_change", "samples")
    known = {key: value for key in keys if (value := number(found.get(key))) is not None}
    if len(known) < len(keys):
        return ""
    return (
        f"The saved model was loaded again and compared with its start ({isolated(str(found.get('start', 'base')))}): "
        f"{known['weights_changed']:.0f} of {known['weights']:.0f} weights changed, by {known['relative']:.2%} of "
        f"their size in all; the chosen responses of {known['samples']:.0f} samples are {short(known['logp_change'])} "
        "nats per token more or less likely, in the mean."
    )


def rejected_told(done: Mapping[str, Any]) -> str:
    """In words how many samples had noise in their key regions alone, why the others did not, and what images lost."""
    lost, drop = done.get("similarity_drop"), None
    if isinstance(lost, Mapping):
        drop = number(lost.get("mean"))
    less = "" if drop is None else f"Rejected images are less like the response by {drop:.3f} (CLIPScore, 0 to 2.5)."
    return " ".join(filter(None, (_regions_told(done.get("regions")), less)))


def _regions_told(found: Any) -> str:
    if not isinstance(found, Mapping) or (located := number(found.get("located"))) is None:
        return ""
    why = found.get("global noise")
    counts = {str(key): number(count) for key, count in why.items()} if isinstance(why, Mapping) else {}
    share = number(found.get("mean area"))
    covered = "" if share is None else f", which cover {share:.1%} of the picture in the mean"
    others = ", ".join(f"{count:.0f} {isolated(reason)}" for reason, count in counts.items() if count is not None)
    rest = f" The others have noise over their whole picture: {others}." if others else ""
    return f"{located:.0f} samples have key regions{covered}.{rest}"
