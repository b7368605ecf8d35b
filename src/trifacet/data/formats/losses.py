"""What a format could not hold: found by reading the written row back and comparing, not by a list that could be wrong.

Invariant: a sample that differs after the round trip is counted in at least one sentence.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from trifacet.data.records import Sample
from trifacet.data.rows import Values

_TEXT_OF = {
    "id": "ids",
    "image": "image paths",
    "more_images": "further images",
    "context": "posts (or the line between request and post: the text itself holds the label)",
    "prompt": "requests (or the line between request and post: the text itself holds the label)",
    "response": "responses (changed: the text holds what the format reserves)",
    "rejected_images": "rejected images",
    "rejected_contexts": "rejected contexts",
    "rejected_responses": "rejected responses",
    "references": "references",
}


class Losses:
    """Counts, over samples, what a round trip through a format changed."""

    def __init__(self) -> None:
        self._left_out: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()

    def left_out(self, why: str) -> None:
        """Count a sample that the format has no row for."""
        self._left_out[why] += 1

    def compare(self, sample: Sample, again: Values) -> None:
        """Count what differs between a sample and the values that its written row is read back as."""
        for field, value in sample.model_dump().items():
            if field == "extra":
                kept = again.get("extra", {})
                lost = [key for key, held in value.items() if key not in kept or kept[key] != held]
                self._fields.update(f"extra field {key!r}" for key in lost)
                continue
            back = again.get(field, type(sample).model_fields[field].get_default(call_default_factory=True))
            if isinstance(value, tuple):
                self._versions(field, value, tuple(back))
            elif back != value:
                self._fields[_TEXT_OF[field]] += 1

    def _versions(self, field: str, given: tuple[str, ...], back: tuple[Any, ...]) -> None:
        if back == given:
            return
        beyond = " beyond the first" if back and back == given[: len(back)] else ""
        changed = " (changed: the text holds what the format reserves)" if len(back) == len(given) else ""
        self._fields[_TEXT_OF[field] + beyond + changed] += 1

    def sentences(self) -> list[str]:
        """One sentence per kind of loss, most frequent first; empty when everything was kept."""
        said = [f"{_samples(count)} left out: {why}" for why, count in self._left_out.most_common()]
        return said + [f"{what} of {_samples(count)} lost" for what, count in self._fields.most_common()]


def _samples(count: int) -> str:
    return f"{count} sample" + ("" if count == 1 else "s")
