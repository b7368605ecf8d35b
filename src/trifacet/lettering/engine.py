"""What an engine is, and which one the settings name.

Invariant: what is read depends on the picture and on the fingerprint alone; nothing is downloaded.
"""

from __future__ import annotations

from typing import Any, Protocol

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.lettering.lines import Lettering
from trifacet.lettering.settings import COLUMN, Reading


class Engine(Protocol):
    """From a picture to what stands in it."""

    name: str

    def fingerprint(self) -> dict[str, Any]:
        """What a reading depends on besides the picture: engine, version, weights, settings, definition. JSON."""
        ...

    def read(self, picture: Image.Image) -> Lettering:
        """What stands in an upright RGB picture, in its own pixels."""
        ...


def open_engine(settings: Reading) -> Engine:
    """The engine that the settings name, ready to read.

    Raises:
        TrifacetError: its package, program or models are not there, or it is ``given``, which rows have and no picture.
    """
    if settings.engine == "given":
        raise TrifacetError(f"engine 'given' takes extra.{COLUMN} of rows; name 'rapidocr' or 'tesseract' for pictures")
    if settings.engine == "tesseract":
        from trifacet.lettering.engines.tesseract import Tesseract

        return Tesseract(settings)
    with needed_for(f"engine {settings.engine!r}, which reads words in pictures,"):
        from trifacet.lettering.engines.rapid import Rapid

        return Rapid(settings)
