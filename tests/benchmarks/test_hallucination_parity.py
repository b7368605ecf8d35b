"""The numbers equal those of the official programs on the shared data; the whole table is ``make parity``'s."""

import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from parity import hallucination as parity
from parity.row import DATA

pytestmark = pytest.mark.skipif(not (DATA / "EXPECTED.json").is_file(), reason="no ../shared/data")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(lambda: parity._pope(DATA / "pope"), id="pope"),
        pytest.param(lambda: parity._amber(DATA / "amber"), id="amber"),
        pytest.param(lambda: parity._amber_published(DATA), id="amber-published"),
        pytest.param(lambda: parity._hallusion(DATA), id="hallusionbench"),
    ],
)
def test_numbers_are_the_official_ones(rows):
    found = list(rows())
    assert len(found) >= 18
    assert [row for row in found if not row.holds] == []


def test_chair_counts_each_caption_as_the_target_does():
    """Every tenth caption; the parity table has all of them."""
    for name, captions, target in parity.chair_pairs(DATA / "chair"):
        for count, row in islice(zip(captions, target["rows"], strict=False), 0, None, 10):
            assert [row[0], *count()] == row, name


def test_the_files_are_of_a_known_release():
    """The hashes in the code are those of the release's files."""
    import hashlib

    from trifacet.benchmarks.known import amber, chair, hallusionbench, mmhal, pope

    folders = ((amber, "amber/data"), (chair, "chair"), (hallusionbench, "hallusionbench"), (mmhal, "mmhal"))
    checked = 0
    for module, folder in (*folders, (pope, "pope")):
        for need in module.BENCHMARK.needs:
            if need.known and need.path != mmhal.ORIGINAL:  # the same file under another name
                assert hashlib.sha256((DATA / folder / need.path).read_bytes()).hexdigest() in need.known, need.path
                checked += 1
    assert checked == 10
