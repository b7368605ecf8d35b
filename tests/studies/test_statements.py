"""Claims over cells: what is read, and what is refused with the cell that is not there."""

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.studies.statements import read_statement

CELLS, MEASURES = ["full", "dpo", "no-image", "t+300"], ["cider", "grounding/colour"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("full > dpo in cider", ("full", ">", ("dpo",), "cider", 0.0)),
        ("no-image < full in grounding/colour by 2", ("no-image", "<", ("full",), "grounding/colour", 2.0)),
        ("full>dpo , t+300 in cider by 0.5", ("full", ">", ("dpo", "t+300"), "cider", 0.5)),
        (" dpo = full in cider by 1e-2 ", ("dpo", "=", ("full",), "cider", 0.01)),
    ],
)
def test_a_claim_is_read(text, told):
    read = read_statement(text, CELLS, MEASURES)
    assert (read.cell, read.sign, read.others, read.measure, read.margin) == told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("full dpo in cider", "is no claim; write CELL > CELL in MEASURE"),
        ("full > dpo", "is no claim"),
        ("full >> dpo in cider", "is no claim"),
        ("full > dpo in cider by", "is no claim"),
        ("full > dpoo in cider", "names cell 'dpoo', which the study has not; did you mean 'dpo'?"),
        ("full > xyz in cider", "there are full, dpo, no-image, t\\+300"),
        ("full > dpo in ciderr", "names measure 'ciderr', which the study has not; did you mean 'cider'?"),
        ("full > dpo, full in cider", "holds cell 'full' against itself, or twice"),
        ("full > dpo, dpo in cider", "holds cell 'dpo' against itself, or twice"),
        ("full = dpo in cider", "needs a margin"),
        ("full > dpo in cider by -2", "is no margin; give a number above 0"),
        ("full > dpo in cider by nan", "is no margin"),
        ("full > dpo in cider by 1e99", "is no margin"),
    ],
)
def test_what_is_no_claim_is_refused(text, said):
    with pytest.raises(TrifacetError, match=said):
        read_statement(text, CELLS, MEASURES)
