"""Where the number of a region stands: at its box, or inside its mask."""

import numpy as np
from PIL import Image

from trifacet.reports.region_pictures import Drawn, with_regions


def labelled(*boxes):
    """Where the white of a number is, as shares of width and height, on black."""
    mask = np.zeros((100, 100), np.bool_)
    mask[50:90, 50:90] = True
    mask[0, 0] = True  # stray
    drawn = with_regions(Image.new("RGB", (100, 100)), [Drawn(1, mask, *boxes)])
    rows, columns = np.nonzero(np.asarray(drawn).min(axis=2) > 200)
    return columns.mean() / drawn.width, rows.mean() / drawn.height


def test_a_number_stands_in_the_mask_or_at_the_corner_of_the_box():
    x, y = labelled()
    assert 0.65 < x < 0.8 and 0.65 < y < 0.8
    x, y = labelled((40.0, 20.0, 90.0, 90.0))
    assert 0.4 < x < 0.5 and 0.2 < y < 0.3
