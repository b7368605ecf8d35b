"""The table that a stage with a curriculum begins with: whole cells on a terminal of 80 columns."""

import io

import pytest

from trifacet.base.progress import Terminal
from trifacet.training import planning
from trifacet.training.course import Course
from trifacet.training.curriculum import Curriculum, phases_of
from trifacet.training.planning import Planned


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    ("difficulties", "span"),
    [((0.0958, 0.287, 0.3, 0.603), "0.0958 to 0.287"), ((-0.00123, -0.000123, 1, 2), "-0.00123 to -0.000123")],
)
def test_no_cell_breaks(monkeypatch, width, difficulties, span):
    written = io.StringIO()
    monkeypatch.setattr(planning, "console", Terminal(file=written, width=width))
    settings = Curriculum(groups=2, reference="previous")
    phases = phases_of([(0, 1), (2, 3)], difficulties, settings, 10_000)
    planning.show("mfpo", Planned(settings, Course(phases, batch_size=1, forwards=1, seed=7)))
    lines = [line.split() for line in written.getvalue().splitlines()]
    assert ["1", "2", *span.split(), "10000", "20,000", "start", "new", "begins"] in lines
    assert ["2", "2", *_shown(difficulties[2:]), "10000", "20,000", "phase", "1", "kept", "goes", "on"] in lines
    assert max(len(line) for line in written.getvalue().splitlines()) <= width


def _shown(values):
    return [f"{values[0]:g}", "to", f"{values[1]:g}"]
