"""From records to batches: versions of every facet, token paths, pixels, and the plan of the objective.

Invariant: what an example holds depends on (sample, recipe, epoch) alone, so policy and reference see the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import Batch, Encoded, collate, encode_paths
from trifacet.errors import DataError, TrifacetError
from trifacet.facets import Cell, Facet
from trifacet.images import check_image, load_image, resolve_inside
from trifacet.losses import make_plan
from trifacet.objectives import Objective
from trifacet.records import PreferenceSample, SupervisedSample
from trifacet.rejection.images import ImageStrategy, rejected_pixels
from trifacet.rejection.samples import image_donors, rejected_contexts


@dataclass(frozen=True)
class Rejection:
    """How rejected versions are made where the data give none; ``resample`` draws anew in each epoch."""

    strategy: ImageStrategy
    image_versions: int = 1
    context_versions: int = 1
    resample: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A sample ready for a batch. With the trie ``encoded`` has one entry; one by one it has an entry per cell."""

    index: int
    encoded: tuple[Encoded, ...]
    versions: dict[Facet, int]
    cut_tokens: int


class Examples(Dataset[Example]):
    """The examples of one stage, made when asked for (in the loader's workers, if there are any).

    Args:
        samples: supervised or preference samples.
        objective: says which cells are needed.
        encoder: tokenises.
        images: folder that image paths are relative to.
        rejection: how rejected versions are made; unused by objectives that reject nothing.
        max_pixels: largest image.
        one_by_one: a row per cell instead of a trie per sample.
    """

    def __init__(
        self,
        samples: Sequence[SupervisedSample | PreferenceSample],
        objective: Objective,
        encoder: SampleEncoder,
        images: Path,
        rejection: Rejection,
        *,
        max_pixels: int,
        one_by_one: bool = False,
    ) -> None:
        if not samples:
            raise TrifacetError("there are no samples to train on; check data.sft, data.preference and align.limit")
        self.samples, self.objective, self.encoder = samples, objective, encoder
        self.images, self.rejection, self.max_pixels, self.one_by_one = images, rejection, max_pixels, one_by_one
        self.epoch = 0
        self._contexts = [sample.context for sample in samples]
        self._paths = [sample.image for sample in samples]

    def set_epoch(self, epoch: int) -> None:
        """The loader's notice of a new epoch; it matters only when rejected versions are drawn anew."""
        self.epoch = epoch if self.rejection.resample else 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Example:
        sample = self.samples[index]
        with _named(sample.id):
            return self._example(index, sample)

    def _example(self, index: int, sample: SupervisedSample | PreferenceSample) -> Example:
        contexts = self.contexts(index)
        responses = self._responses(sample)
        pixels = self.pixels(index)
        versions = {
            Facet.IMAGE: len(pixels) - 1,
            Facet.CONTEXT: len(contexts) - 1,
            Facet.RESPONSE: len(responses) - 1,
        }
        cells = self.objective.cells(versions)
        tokens = [self.encoder.family.image_tokens(picture) for picture in pixels]
        paths, cut = self.encoder.paths(sample.prompt, contexts, responses, tokens, cells)
        if not self.one_by_one:
            used = sorted({cell.image for cell in cells})
            number = {image: position for position, image in enumerate(used)}
            paths = [
                path._replace(images_L=np.where(path.images_L >= 0, number[cell.image], -1))
                for path, cell in zip(paths, cells, strict=True)
            ]
            return Example(index, (encode_paths(paths, [pixels[image] for image in used]),), versions, cut)
        alone = [
            encode_paths([path._replace(images_L=np.minimum(path.images_L, 0))], [pixels[cell.image]])
            for path, cell in zip(paths, cells, strict=True)
        ]
        return Example(index, tuple(alone), versions, cut)

    def versions(self, index: int) -> dict[Facet, int]:
        """How many rejected versions of each facet the sample has, without opening an image."""
        sample = self.samples[index]
        given = len(self._given_images(sample))
        needs_image = Facet.IMAGE in self.objective.rejected_facets
        return {
            Facet.IMAGE: (given or self.rejection.image_versions) if needs_image else 0,
            Facet.CONTEXT: len(self.contexts(index)) - 1,
            Facet.RESPONSE: len(self._responses(sample)) - 1,
        }

    def cells(self, index: int) -> list[Cell]:
        """The cells of a sample, in the order in which their scores come."""
        return self.objective.cells(self.versions(index))

    def check(self) -> None:
        """Every sample has the versions that the objective needs, at least one term applies, and its images are there.

        Of an image the header is read only, so that a missing one is found now and not after hours.

        Raises:
            TrifacetError: naming the first sample for which this is not so.
        """
        for index, sample in enumerate(self.samples):
            with _named(sample.id):
                cells = self.cells(index)
            if not cells:
                raise TrifacetError(
                    f"sample {sample.id!r} has no post, and every term of objective {self.objective.name!r} rejects "
                    "the context; leave the sample out or add a term that does not"
                )
            for name in (sample.image, *self._given_images(sample)):
                with self._naming(index):
                    check_image(self.images, name, max_pixels=self.max_pixels)

    def contexts(self, index: int) -> list[str]:
        """The chosen context, then the rejected ones that the objective asks for.

        A sample without a post has none: its terms that reject the context are left out.
        """
        sample = self.samples[index]
        if Facet.CONTEXT not in self.objective.rejected_facets or not sample.context.strip():
            return [sample.context]
        if isinstance(sample, PreferenceSample) and sample.rejected_contexts:
            return [sample.context, *sample.rejected_contexts]
        drawn = rejected_contexts(
            self._contexts,
            index,
            seed=self.rejection.seed,
            sample_id=sample.id,
            versions=self.rejection.context_versions,
            epoch=self.epoch,
        )
        return [sample.context, *drawn]

    def _responses(self, sample: SupervisedSample | PreferenceSample) -> list[str]:
        if Facet.RESPONSE not in self.objective.rejected_facets:
            return [sample.response]
        rejected = sample.rejected_responses if isinstance(sample, PreferenceSample) else ()
        if not rejected:
            raise DataError(
                f"sample {sample.id!r} has no rejected response, and objective {self.objective.name!r} needs one",
                fix="add it or use an objective without response terms",
                field="rejected_responses",
            )
        return [sample.response, *rejected]

    def picture(self, index: int) -> Image.Image:
        """The chosen image, RGB."""
        return self._open(self.samples[index].image, index)

    def pixels(self, index: int) -> list[Tensor]:
        """The chosen image as the encoder reads it, then the rejected ones that the objective asks for."""
        sample, family = self.samples[index], self.encoder.family
        chosen = self.picture(index)
        pixels = [family.pixels(chosen)]
        if Facet.IMAGE not in self.objective.rejected_facets:
            return pixels
        if given := self._given_images(sample):
            return pixels + [family.pixels(self._open(name, index)) for name in given]
        for version in range(1, self.rejection.image_versions + 1):
            pixels.append(
                rejected_pixels(
                    self.rejection.strategy,
                    chosen,
                    lambda image: pixels[0] if image is chosen else family.pixels(image),
                    family.image_mean,
                    family.image_std,
                    seed=self.rejection.seed,
                    sample_id=sample.id,
                    version=version,
                    epoch=self.epoch,
                    donor=lambda version=version: self.donor(index, version),  # type: ignore[misc]
                )
            )
        return pixels

    def donor(self, index: int, version: int) -> Image.Image:
        """Another sample's image, for the strategy that shows one."""
        sample = self.samples[index]
        donors = image_donors(
            self._paths, index, seed=self.rejection.seed, sample_id=sample.id, versions=version, epoch=self.epoch
        )
        return self._open(self._paths[donors[-1]], donors[-1])

    def _open(self, name: str, index: int) -> Image.Image:
        with self._naming(index):
            return load_image(self.images, name, max_pixels=self.max_pixels)

    def _given_images(self, sample: SupervisedSample | PreferenceSample) -> tuple[str, ...]:
        """The rejected images that the data give, where the objective asks for any."""
        wanted = Facet.IMAGE in self.objective.rejected_facets
        return sample.rejected_images if wanted and isinstance(sample, PreferenceSample) else ()

    @contextmanager
    def _naming(self, index: int) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise DataError(
                f"sample {self.samples[index].id!r}: {error.problem}", fix=error.fix, field="image"
            ) from None

    def fingerprint(self) -> dict[str, str]:
        """What scores depend on besides the weights: samples with their images, versions, cells, way of asking."""
        digest = hashlib.sha256()
        file_digest = cache(lambda name: hashlib.sha256(resolve_inside(self.images, name).read_bytes()).hexdigest())
        for index, sample in enumerate(self.samples):
            digest.update(sample.model_dump_json(exclude={"extra"}).encode())
            digest.update(str(self.cells(index)).encode())
            names = [sample.image, *(sample.rejected_images if isinstance(sample, PreferenceSample) else ())]
            with self._naming(index):
                digest.update("".join(file_digest(name) for name in names).encode())
        rejection = self.rejection
        rejected = {
            "image": rejection.strategy.fingerprint(),
            "versions": [rejection.image_versions, rejection.context_versions],
            "seed": rejection.seed,
        }
        asking = [self.encoder.prompt, self.encoder.context_label, self.encoder.max_length]
        return {
            "samples": digest.hexdigest(),
            "rejected versions": json.dumps(rejected, sort_keys=True),
            "corners": ", ".join(str(corner) for corner in self.objective.corners),
            "prompt and length": json.dumps(asking),
            "processor": _processor_fingerprint(self.encoder.family.processor),
        }


@contextmanager
def _named(sample_id: str) -> Iterator[None]:
    """Says which sample an error is about; a DataError says so itself."""
    try:
        yield
    except DataError:
        raise
    except TrifacetError as error:
        raise TrifacetError(f"sample {sample_id!r}: {error}") from None


def _processor_fingerprint(processor: Any) -> str:
    parts = [
        processor.tokenizer.backend_tokenizer.to_str(),
        json.dumps(processor.image_processor.to_dict(), sort_keys=True, default=str),
        str(processor.chat_template),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Collator:
    """Joins examples into a batch with the objective's plan and, where given, the reference's scores."""

    def __init__(self, examples: Examples, reference: list[Tensor] | None = None) -> None:
        self.objective, self.family = examples.objective, examples.encoder.family
        self.pad_id = int(examples.encoder.tokenizer.pad_token_id or 0)
        self.reference = reference

    def __call__(self, examples: Sequence[Example]) -> Batch:
        batch = collate([encoded for example in examples for encoded in example.encoded], self.family, self.pad_id)
        plan = make_plan(self.objective, [example.versions for example in examples])
        batch["plan"] = plan._asdict()
        batch["indices"] = [example.index for example in examples]
        batch["cut"] = [example.index for example in examples if example.cut_tokens]
        if self.reference is not None:
            batch["reference_logps_C"] = torch.cat([self.reference[example.index] for example in examples])
        return batch
