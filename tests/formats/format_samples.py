"""Strategies for samples, hostile text included, and the folder of real data."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from trifacet.records import PreferenceSample, SupervisedSample, TestSample

PINTEREST = Path(__file__).parents[2] / ".." / "shared" / "data" / "pinterest"
needs_pinterest = pytest.mark.skipif(
    not PINTEREST.is_dir(), reason="the real pairs (../shared/data/pinterest) are not on this machine"
)

PIECES = [
    "a",
    "Ω",
    "\n",
    "\r\n",
    " ",
    "Context:",
    "context: x",
    "<image>",
    "[red]",
    "</script>",
    '"',
    "\\",
    "\u2028",
    "{",
    "0",
]
text = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
solid = text.filter(lambda value: value.strip() != "")
path = st.sampled_from(["a.png", "b/c d.jpg", "ü.webp"])
extra = st.dictionaries(
    st.sampled_from(["idx", "system", "image", "question", "messages", "input", "note"]),
    st.one_of(st.integers(-5, 5), text, st.lists(st.integers(0, 3), max_size=2), st.none()),
    max_size=3,
)
common = {
    "id": st.integers(1, 99).map(lambda number: f"row-{number}" if number % 2 else f"x{number}"),
    "image": path,
    "context": text,
    "prompt": st.none() | solid,
    "extra": extra,
}


def versions(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


KINDS = {
    "sft": st.builds(SupervisedSample, **common, response=solid),
    "preference": st.builds(
        PreferenceSample,
        **common,
        response=solid,
        rejected_images=versions(path),
        rejected_contexts=versions(text),
        rejected_responses=versions(solid),
    ),
    "test": st.builds(TestSample, **common, references=versions(solid)),
}


def lists_of(kind):
    return st.lists(KINDS[kind], min_size=1, max_size=3, unique_by=lambda sample: sample.id)
