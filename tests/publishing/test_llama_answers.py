"""What counts as the same answer of llama.cpp; bench/export_families.py asks the real one."""

import pytest

from trifacet.publishing.llama import TIE, Answered, compared
from trifacet.publishing.probing_texts import SIZES, Said

BEST = ((5, -1.0), (7, -1.5), (9, -1.5 - TIE / 2), (11, -2.5))
EXPECTED = [Said((1, 2, 3), 40, (-1.0,), BEST) for _ in SIZES]


@pytest.mark.parametrize(
    ("tokens", "best", "same"),
    [
        (40, [(5, -1.01), (7, -1.52)], True),
        (40, [(5, -1.01), (9, -1.52)], True),  # as likely to transformers
        (40, [(7, -1.01), (5, -1.52)], False),  # another is best, by half a nat
        (40, [(5, -1.01), (11, -1.52)], False),
        (40, [(5, -1.01), (99, -1.52)], False),  # none of transformers' best at all
        (41, [(5, -1.01), (7, -1.52)], False),
    ],
)
def test_the_same_tokens_are_counted_and_best(tokens, best, same):
    found = [Answered(40, BEST)] * (len(SIZES) - 1) + [Answered(tokens, tuple(best))]
    verdict, told, figures = compared(found, EXPECTED)
    assert verdict is same, told
    assert figures["prompt_tokens"][-1] == (tokens, 40)
    assert ("prompt tokens of a picture" in told) == (tokens != 40)


def test_how_far_log_probs_are_apart_is_told():
    near = tuple((token, value - 0.02) for token, value in BEST)
    assert compared([Answered(40, near)] * len(SIZES), EXPECTED)[2]["largest_difference"] == pytest.approx(0.02)
