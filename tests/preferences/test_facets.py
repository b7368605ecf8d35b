"""The lattice as plain data."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifacet.preferences.facets import CHOSEN, CORNERS, FACETS, Cell, Corner, Facet, cells_of

SUBSETS = [subset for size in range(4) for subset in combinations(FACETS, size)]


def test_the_corners_are_the_subsets_of_the_facets():
    assert [facet.value for facet in FACETS] == ["image", "context", "response"]
    assert len(CORNERS) == len(set(CORNERS)) == 8
    assert {corner.rejected for corner in CORNERS} == set(SUBSETS)
    assert CORNERS[0] == CHOSEN
    assert sorted(CORNERS) == list(CORNERS)


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_corner_and_its_name_say_the_same(subset):
    corner = Corner.rejecting(subset)
    assert corner.rejected == subset
    assert Corner.rejecting(facet.value for facet in reversed(subset)) == corner
    assert str(corner) == ("+".join(subset) or "chosen")


def test_an_unknown_facet_is_refused():
    with pytest.raises(ValueError, match="imge"):
        Corner.rejecting(["imge"])


@given(st.sampled_from(CORNERS), st.dictionaries(st.sampled_from(FACETS), st.integers(0, 3)))
def test_cells_are_all_choices_of_versions(corner, versions):
    cells = list(cells_of(corner, versions))
    expected = 1
    for facet in corner.rejected:
        expected *= versions.get(facet, 0)  # no version of a rejected facet: no cell
    assert len(cells) == len(set(cells)) == expected
    for cell in cells:
        assert cell.corner == corner
        for facet, version in zip(FACETS, cell, strict=True):
            assert version <= versions.get(facet, 0)


def test_a_cell_names_its_versions():
    assert list(cells_of(Corner(response=True), {Facet.RESPONSE: 2})) == [Cell(0, 0, 1), Cell(0, 0, 2)]
    assert Cell(0, 2, 1).corner == Corner(context=True, response=True)
