"""RapidOCR with the models that lie in its wheel: detection and recognition of PP-OCRv6, by onnxruntime.

Invariant: one thread, so that the same picture gives the same lines on any machine's number of cores; nothing is
downloaded, and nothing of its chatter reaches our output.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

from trifacet.lettering.lines import Lettering, Line, Word
from trifacet.lettering.settings import Reading


class Rapid:
    """RapidOCR's default models."""

    name = "rapidocr"

    def __init__(self, settings: Reading) -> None:
        from rapidocr import RapidOCR

        self.settings = settings
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.text_score": 0.0,
                "Global.max_side_len": settings.longest_side,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def fingerprint(self) -> dict[str, Any]:
        """Versions and settings."""
        versions = {name: version(name) for name in ("rapidocr", "onnxruntime")}
        return {"engine": self.name, "definition": 1, **versions, **self.settings.model_dump(mode="json")}

    def read(self, picture: Image.Image) -> Lettering:
        """See ``Engine``."""
        found = self._engine(np.asarray(picture)[..., ::-1], return_word_box=True)  # it takes BGR
        lines, unreadable = [], []
        words = found.word_results or ()
        for number, (text, score, quad) in enumerate(
            zip(found.txts or (), found.scores or (), found.boxes if found.boxes is not None else (), strict=True)
        ):
            box = (float(quad[:, 0].min()), float(quad[:, 1].min()), float(quad[:, 0].max()), float(quad[:, 1].max()))
            if score < self.settings.least_confidence:
                unreadable.append(box)
                continue
            pieces = [
                Word(text=piece, box=tuple(float(v) for v in (*np.min(place, 0), *np.max(place, 0))))
                for piece, _, place in (words[number] if number < len(words) else ())
            ]
            lines.append(
                Line(
                    text=text,
                    box=box,
                    confidence=min(float(score), 1.0),
                    quad=tuple(map(tuple, quad.tolist())),
                    words=tuple(pieces),
                )
            )
        return Lettering(size=picture.size, lines=tuple(lines), unreadable=tuple(unreadable))
