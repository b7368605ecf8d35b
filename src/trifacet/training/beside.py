"""The counterpart beside the picture: prompts that show a chosen and a rejected image, and say which one is meant.

Invariant: all cells of a sample that are asked so see the same pictures in the same order; which one is meant is told
by the request alone, so responses to one request share their whole condition (IC-VCO, arXiv 2605.31312).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trifacet.base.draws import generator
from trifacet.engine.encode import Asked, SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.engine.trie import Path
from trifacet.preferences.changed import Changes
from trifacet.preferences.facets import Cell

INSTRUCTION = "Answer based on the {} image."  # as published, behind the request
PLACES = ("first", "second")


def rejected_comes_first(seed: int, sample_id: str) -> bool:
    """Whether a sample shows its rejected image before the chosen one: drawn once, half of them do."""
    return bool(generator("beside", seed, sample_id).integers(2))


def anchored(asked: Asked, request: str, place: int) -> Asked:
    """How a sample is asked about the picture at ``place`` (0 or 1); ``request`` where it has none of its own."""
    return asked._replace(prompt=f"{asked.prompt or request} {INSTRUCTION.format(PLACES[place])}")


def paths_beside(
    encoder: SampleEncoder,
    asked: Asked,
    context: str,
    responses: Sequence[str],
    images: Sequence[ImageInput],
    cells: Iterable[Cell],
    changes: Changes | None,
    *,
    rejected_first: bool,
) -> tuple[list[Path], int]:
    """One path per cell, and the tokens cut from posts; as ``SampleEncoder.paths``, of which this is the case.

    A cell with the chosen context shows one picture and asks as usual; one with the rejected context shows both.

    Args:
        encoder: tokenises.
        asked: how the sample is asked.
        context: its post.
        responses: by version.
        images: the chosen one, the rejected one, and what the post shows besides.
        cells: which versions meet.
        changes: how the tokens of responses are weighed.
        rejected_first: the order in which the two are shown.
    """
    cells, beside = list(cells), range(2, len(images))
    both = [1, 0] if rejected_first else [0, 1]
    paths: dict[Cell, Path] = {}
    lost = 0
    for image, is_beside in dict.fromkeys((cell.image, bool(cell.context)) for cell in cells):
        mine = [cell for cell in cells if (cell.image, bool(cell.context)) == (image, is_beside)]
        told = anchored(asked, encoder.prompt, both.index(image)) if is_beside else asked
        shown = [*(both if is_beside else [image]), *beside]
        found, cut = encoder.paths(
            told, [context], responses, images, [shown], [Cell(response=cell.response) for cell in mine], changes
        )
        paths |= zip(mine, found, strict=True)
        lost += cut
    return [paths[cell] for cell in cells], lost
