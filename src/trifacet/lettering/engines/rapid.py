"""RapidOCR with the models that lie in its wheel: detection and recognition of PP-OCRv6, by onnxruntime.

Invariant: the models are named by their paths in the package, so that nothing is ever downloaded; one thread, so that
the same picture gives the same lines however many cores there are; nothing of its chatter reaches our output.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from trifacet.base.digests import file_digest
from trifacet.base.errors import TrifacetError, first_line
from trifacet.lettering.engines.fitting import Fitted, box_of, fitted
from trifacet.lettering.engines.languages import OTHER_LETTERS
from trifacet.lettering.engines.legible import Candidate, inked, legible
from trifacet.lettering.engines.word_places import placed_words
from trifacet.lettering.lines import Corners, Lettering, Line, Quad
from trifacet.lettering.settings import Reading

DEFINITION = 3  # raised when the same models give other lines
MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
AGAIN = "install it anew: pip install --force-reinstall 'rapidocr>=3.10'"
_TURNED = 0.9  # a line is upside down where the classifier is surer than this (rapidocr's own cls_thresh)
_TALL = 1.5  # a line so many times higher than wide is read from the top down (rapidocr's own)


class _Recognised(NamedTuple):
    """What the engine makes of a place where it finds letters."""

    candidate: Candidate
    quad: np.ndarray  # (4, 2) in the fitted picture, from where one begins to read clockwise
    confidences: list[float]  # of each letter, blanks among them


class Rapid:
    """RapidOCR's default models, for Latin, Chinese and Japanese letters.

    Raises:
        TrifacetError: its package lacks a model, or they are for other languages.
    """

    name = "rapidocr"

    def __init__(self, settings: Reading) -> None:
        import onnxruntime
        import rapidocr

        refuse_languages(settings.languages)
        self.settings = settings
        self._versions = {"rapidocr": version("rapidocr"), "onnxruntime": onnxruntime.__version__}
        self._files = models_in(Path(rapidocr.__file__).parent / "models")

    @cached_property
    def _engine(self) -> Any:
        """Opened when a picture is read: with many processes the first one reads none, and what is kept needs none."""
        try:
            return _opened(self._files)
        except Exception as error:  # of onnxruntime, of rapidocr, of whatever a damaged model makes them do
            raise TrifacetError(f"engine 'rapidocr' cannot open its models ({first_line(error)}); {AGAIN}") from None

    def fingerprint(self) -> dict[str, Any]:
        """Versions, weights and settings."""
        return {
            "engine": self.name,
            "definition": DEFINITION,
            **self._versions,
            "models": self._digests,
            "longest_side": self.settings.longest_side,
            "least_confidence": self.settings.least_confidence,
        }

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {part: file_digest(path)[:16] for part, path in self._files.items()}

    def read(self, picture: Image.Image) -> Lettering:
        """See ``Engine``. Raises TrifacetError where a model cannot be opened."""
        shown = fitted(picture.convert("RGB"), self.settings.longest_side)
        found = [one for one in self._recognised(shown) if inked(one.candidate.crop_HWC)]
        sound = legible([one.candidate for one in found], self._again)
        lines: list[Line] = []
        unreadable: list[Corners] = []
        for one, good in zip(found, sound, strict=True):
            quad = shown.quad(one.quad)
            if good and one.candidate.confidence >= self.settings.least_confidence:
                lines.append(_line(one, quad, picture.size))
            else:
                unreadable.append(box_of(quad))
        return Lettering(size=picture.size, lines=tuple(lines), unreadable=tuple(unreadable))

    def _again(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        read = self._engine.recognize_txt(list(crops))
        return list(zip(read.txts, map(float, read.scores), strict=True))

    def _recognised(self, shown: Fitted) -> Iterator[_Recognised]:
        pixels_BGR = np.ascontiguousarray(np.asarray(shown.picture)[..., ::-1])
        found = self._detected(pixels_BGR)
        if found is None:
            return
        crops, quads = found
        upright, turned = self._engine.cls_and_rotate(crops)
        read = self._engine.recognize_txt(upright)
        for number, quad in enumerate(quads):
            label, score = turned.cls_res[number]
            of_words = read.word_results[number]
            candidate = Candidate(
                read.txts[number],
                min(float(read.scores[number]), 1.0),
                upright[number],
                [column for word in of_words.word_cols for column in word],
                of_words.line_txt_len,
            )
            corners = as_read(quad, turned="180" in label and score > _TURNED)
            yield _Recognised(candidate, corners, of_words.confs or [])

    def _detected(self, pixels_BGR: np.ndarray) -> tuple[list[np.ndarray], np.ndarray] | None:
        """The crops and quads (N, 4, 2) of the places with letters, from the top down."""
        from rapidocr.main import RapidOCRError

        try:
            crops, found = self._engine.detect_and_crop(pixels_BGR, {})
        except RapidOCRError:  # there is none
            return None
        return crops, found.boxes


def refuse_languages(codes: Sequence[str]) -> None:
    """Raise TrifacetError for languages of whose letters the models know none: they would have to be downloaded."""
    for code in codes:
        if code in OTHER_LETTERS:
            raise TrifacetError(
                f"engine 'rapidocr' has no model for language {code!r}: those of its package read Latin, Chinese and "
                "Japanese letters, and none is downloaded; name engine 'tesseract'"
            )


def models_in(folder: Path) -> dict[str, Path]:
    """The models in rapidocr's package, by its names of the parts.

    Raises:
        TrifacetError: one is not there; it is named, and not fetched.
    """
    files = {part: folder / name for part, name in MODELS.items()}
    for path in files.values():
        if not path.is_file():
            raise TrifacetError(
                f"engine 'rapidocr' lacks its model {path.name} in {folder}; models are not downloaded: {AGAIN}"
            )
    return files


def _opened(files: dict[str, Path]) -> Any:
    """RapidOCR on these models, which it has opened when this returns."""
    logger = logging.getLogger("RapidOCR")  # its module sets a level and a handler when it is imported
    import cv2
    from rapidocr import RapidOCR
    from rapidocr.main import RapidOCRError

    params: dict[str, Any] = {f"{part}.model_path": str(path) for part, path in files.items()}
    params |= {
        "Global.log_level": "critical",
        "Global.return_word_box": True,
        "Global.use_vertical_padding": False,  # ``fitted`` does it, to both sides
        # letters lie in the model; if they did not, rapidocr would download a list unless this file is there
        "Rec.rec_keys_path": str(files["Rec"]),
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    cv2.setNumThreads(1)
    engine = RapidOCR(params=params)
    logger.setLevel(logging.CRITICAL + 1)
    empty = np.zeros((64, 64, 3), np.uint8)
    with suppress(RapidOCRError):  # no letters; what it opens, it opens when it is first used
        engine.detect_and_crop(empty, {})
    engine.recognize_txt(engine.cls_and_rotate([empty])[0])
    return engine


def as_read(quad: np.ndarray, *, turned: bool) -> np.ndarray:
    """Corners (4, 2) from the upper left clockwise, as from where one begins to read: as rapidocr turns the crop."""
    across = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3]))
    down = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    steps = (1 if int(down) / max(int(across), 1) >= _TALL else 0) + (2 if turned else 0)
    return np.roll(quad, -steps, axis=0)


def _line(one: _Recognised, quad: Quad, size: tuple[int, int]) -> Line:
    read = one.candidate
    words = placed_words(read.text, read.columns, one.confidences, read.steps, read.crop_HWC, quad, size)
    text = unicodedata.normalize("NFC", " ".join(read.text.split()))
    return Line(text=text, box=box_of(quad), confidence=read.confidence, quad=quad, words=words)
