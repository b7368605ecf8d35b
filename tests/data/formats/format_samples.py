"""Strategies for samples, hostile text included, and the folder of real data."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from trifacet.data.records import PreferenceSample, SupervisedSample, TestSample

PINTEREST = Path(__file__).parents[3] / ".." / "shared" / "data" / "pinterest"
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
    st.sampled_from(["idx", "system", "image", "question", "messages", "input", "note", "history", "videos", "label"]),
    st.one_of(st.integers(-5, 5), text, st.lists(st.integers(0, 3), max_size=2), st.none()),
    max_size=3,
)
more_paths = st.lists(st.sampled_from(["d.png", "e.jpg"]), max_size=2, unique=True).map(tuple)
common = {
    "id": st.integers(1, 99).map(lambda number: f"row-{number}" if number % 2 else f"x{number}"),
    "context": text,
    "prompt": st.none() | solid,
    "extra": extra,
}


def versions(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


def built(sample_type, shown, **fields):
    """Samples with one image, with several, and without."""
    one, several, none = (
        {"image": path, **shown},
        {"image": path, "more_images": more_paths, **shown},
        {"image": st.none()},
    )
    return st.one_of(*(st.builds(sample_type, **common, **fields, **images) for images in (one, several, none)))


KINDS = {
    "sft": built(SupervisedSample, {}, response=solid),
    "preference": built(
        PreferenceSample,
        {"rejected_images": versions(path)},
        response=solid,
        rejected_contexts=versions(text),
        rejected_responses=versions(solid),
    ),
    "test": built(TestSample, {}, references=versions(solid)),
}


def lists_of(kind):
    return st.lists(KINDS[kind], min_size=1, max_size=3, unique_by=lambda sample: sample.id)
