"""The summary of a review on a terminal. Invariant: it prints a document of ``review.summary`` and computes nothing."""

from __future__ import annotations

from typing import Any

from trifacet.cli.common import out, plain, print_table

LIMIT = 0.05  # largest p of a preference that is told from chance


def print_summary(document: dict[str, Any]) -> None:
    """Wins with their intervals, agreement, and how each judge votes."""
    one, other = (plain(name) for name in document["models"])
    judged = f"{document['judged']} of {document['samples']} samples judged"
    rows = [
        [label, kind["n"], *(_percent(kind[outcome]) for outcome in ("win", "tie", "lose"))]
        for label, kind in (("majority per sample", document["majority"]), ("all votes", document["all_votes"]))
    ]
    print_table(
        f"{one} against {other}: {judged}, % [95 % interval]", ("by", "n", f"{one} wins", "tie", f"{other} wins"), rows
    )
    out.print(_verdict(document["majority"]["sign_test"], one, other))
    if document["identical_judged"]:
        out.print(f"{document['identical_judged']} of the judged samples have the same text twice")
    agreement = document["agreement"]
    undefined = f"not defined: {agreement['undefined']}"
    rows = [
        [label, _interval(agreement[key]) if agreement[key]["value"] is not None else undefined]
        for key, label in (
            ("alpha_nominal", "Krippendorff's alpha, nominal"),
            ("alpha_ordinal", "Krippendorff's alpha, ordinal"),
            ("agreement", "pairs of judges that agree"),
        )
    ]
    print_table(
        f"agreement on {agreement['shared_samples']} samples with two judges or more", ("measure", "value"), rows
    )
    out.print("alpha: 1 is full agreement, 0 what chance gives; pairs of judges: share of equal answers, 0 to 1")
    keys = ("answered", "skipped", "revised", "without_image", "win", "tie", "lose")
    rows = [
        [plain(row["judge"]), *(row[key] for key in keys), _rounded(row["first_position"])]
        for row in document["judges"]
    ]
    first = document["first_position"]
    print_table(
        f"judges; win is for {one}, lose for {other}",
        ("judge", "answered", "skipped", "revised", "no image", "win", "tie", "lose", "text 1, %"),
        rows,
    )
    out.print(f"text 1 taken by all, %: {_percent(first)} of {first['n']} votes for a side; 50 is no bias")
    for row in document["pairs"]:
        names = " and ".join(plain(name) for name in row["judges"])
        out.print(f"{names}: {_alike(row)}")


def _percent(share: dict[str, Any]) -> str:
    if share["share"] is None:
        return "-"
    return f"{100 * share['share']:.1f}{_between(share, 100, 1)}"


def _interval(value: dict[str, Any]) -> str:
    return f"{value['value']:.3f}{_between(value, 1, 3)}"


def _between(value: dict[str, Any], scale: int, digits: int) -> str:
    """The interval; nothing where there is none, as with a single sample."""
    if value["low"] is None:
        return ""
    return f" [{scale * value['low']:.{digits}f}, {scale * value['high']:.{digits}f}]"


def _rounded(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"


def _alike(pair: dict[str, Any]) -> str:
    """On how many of their common samples two judges agree."""
    if pair["agreement"] is None:
        return "no sample that both answered"
    return f"{100 * pair['agreement']:.0f} % of {pair['samples']} samples alike"


def _verdict(test: dict[str, Any], one: str, other: str) -> str:
    """What the majorities say in words: for whom, or that no difference was found."""
    wins, losses, p = test["wins"], test["losses"], test["p"]
    if p is None:
        return "no sample has a majority for a side: nothing to test"
    found = f"{one if wins > losses else other} is preferred" if p <= LIMIT else "no difference found"
    return (
        f"{found}: {one} has the majority of {wins} samples, {other} of {losses}; sign test without ties, p = {p:.4g}"
    )
