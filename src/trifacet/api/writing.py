"""Opening a model and having it write.

Invariant: a model is asked as ``trifacet describe`` and ``trifacet generate`` ask it, so the texts are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trifacet.api.records import as_records
from trifacet.base.errors import DataError, TrifacetError
from trifacet.data.records import TestSample
from trifacet.data.words_read import with_words
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.opening import load_for_generation, way_of_asking
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.loading import LoadedModel
from trifacet.settings.reading import explain_invalid


@dataclass(frozen=True, eq=False, repr=False)
class VisionLanguageModel:
    """An opened checkpoint, with the way of asking that it was trained with. ``model`` is transformers' own."""

    loaded: LoadedModel
    encoder: SampleEncoder

    @property
    def model(self) -> Any:
        """The module, for whatever else transformers can do with it."""
        return self.loaded.model


def load(
    checkpoint: str | Path,
    *,
    prompt: str | None = None,
    read: bool | None = None,
    dtype: str = "float32",
    device: str = "auto",
) -> VisionLanguageModel:
    """Open a checkpoint.

    Args:
        checkpoint: hub id or folder; one with a LoRA adapter opens its base too. Safetensors only, no remote code.
        prompt: the request; by default the one that the model was trained with here, else the paper's.
        read: whether the words read in a picture go into the request; by default as in the model's training here.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: ``auto`` takes an accelerator if there is one.

    Raises:
        TrifacetError: no such checkpoint, or one that is not whole or of no supported family.
    """
    asked = way_of_asking(str(checkpoint), prompt=prompt, read=read)
    return VisionLanguageModel(
        *load_for_generation(str(checkpoint), prompt=prompt, dtype=dtype, device=device, asked=asked)
    )


def describe(
    model: VisionLanguageModel,
    image: str | Path,
    context: str = "",
    *,
    more_images: Sequence[str | Path] = (),
    seed: int = 17,
    **settings: Any,
) -> str:
    """Alt-text for a picture in its post.

    Args:
        model: from ``load``.
        image: path of the picture.
        context: the text of the post around it.
        more_images: further pictures of the post.
        seed: as in ``generate``, as are the ``settings``.
        settings: see ``seed``.

    Raises:
        TrifacetError: a picture that cannot be read, or an unknown setting.
    """
    paths = [Path(path).resolve() for path in (image, *more_images)]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError("no such file", fix="correct the path of the image", file=missing[0])
    first, *others = map(str, paths)
    sample = TestSample(id=first, image=first, more_images=tuple(others), context=context)
    # Files that the user names may lie anywhere; the root of the file system bounds nothing.
    return generate(model, [sample], images=paths[0].anchor, seed=seed, **settings)[first]


def generate(
    model: VisionLanguageModel,
    samples: Sequence[TestSample | Mapping[str, Any]],
    *,
    images: str | Path = ".",
    seed: int = 17,
    **settings: Any,
) -> dict[str, str]:
    """Alt-text for every post, by id.

    Args:
        model: from ``load``.
        samples: records, or their values; ``{"id": "1", "image": "photo.jpg", "context": "My dog!"}`` is one.
        images: the folder that the records' images lie in.
        seed: seed of the sampling, where there is a temperature.
        settings: keys of a recipe's ``generate``: ``beams`` (3), ``temperature`` (0), ``top_p`` (1),
            ``max_new_tokens`` (256), ``batch_size`` (8), ``filter``.

    Raises:
        TrifacetError: a record that is none, a picture that cannot be read, or an unknown setting.
    """
    try:
        how = Generation(**settings)
    except ValidationError as error:
        raise TrifacetError(explain_invalid(error, Generation)) from None
    posts = with_words(as_records(TestSample, samples)[: how.limit], images, model.encoder.quoting)
    texts = FamilyWriter(model.model, model.encoder, how, seed).write(posts, images)
    return {text.id: text.text for text in texts}
