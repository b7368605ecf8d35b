"""From records to batches: versions of every facet, token paths, pixels, and the plan of the objective.

Invariant: what an example holds depends on (sample, recipe, epoch) alone, so policy and reference see the same.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from trifacet.base.digests import text_digest
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.images import check_image, resolve_inside
from trifacet.data.checking.texts import rejects_chosen
from trifacet.data.records import PreferenceSample, SupervisedSample
from trifacet.data.source import FilesRead
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.engine.scoring import Batch, Encoded, Rows, collate
from trifacet.preferences.changed import SEGMENTS, ChangedTokens, Changes, segment_spans, segments_of
from trifacet.preferences.facets import Cell, Facet
from trifacet.preferences.losses import make_plan
from trifacet.preferences.objectives import Objective
from trifacet.preferences.rejected.samples import partners, rejected_contexts
from trifacet.training.batches import Groups, LossInputs
from trifacet.training.beside import INSTRUCTION, paths_beside, rejected_comes_first
from trifacet.training.pictures import Drawn, Pictures, Rejection

_EQUAL = "replace it, or leave such rows out with data.on_bad_row: skip"


@dataclass(frozen=True)
class Example:
    """A sample ready for a batch: its cells' paths and images, and what the plan of the objective needs."""

    index: int
    encoded: Encoded
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
        groups: who is in a batch with whom, where members lend each other contexts and images.
        changed_tokens: what counts for more in responses (None: all tokens count alike).
        file: where the samples are from, for messages.
        rows: their row numbers in it.
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
        groups: Groups | None = None,
        changed_tokens: ChangedTokens | None = None,
        file: Path | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        if not samples:
            raise TrifacetError("there are no samples to train on; check data.sft, data.preference and align.limit")
        self.samples, self.objective, self.encoder = samples, objective, encoder
        self.images, self.rejection, self.max_pixels = images, rejection, max_pixels
        self.groups, self.file, self.rows = groups, file, rows
        self.pictures = Pictures(
            samples,
            encoder.family,
            images,
            rejection,
            max_pixels=max_pixels,
            lenders=self._partners,
            naming=self._naming,
        )
        self.changed_tokens = changed_tokens
        self.epoch = 0
        self.without: Counter[Facet] = Counter()  # samples without a facet that the objective rejects; of ``check``
        self._contexts = [sample.context for sample in samples]
        self._sizes: dict[str, tuple[int, int]] = {}

    def set_epoch(self, epoch: int) -> None:
        """The loader's notice of a new epoch; it matters only when rejected versions are drawn anew."""
        self.epoch = self.pictures.epoch = epoch if self.rejection.resample else 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: Sequence[int]) -> list[Example] | TrifacetError:
        """A loader's batch; what is wrong with one comes as a value, since loaders hand on only a traceback's text."""
        try:
            return [self[index] for index in indices]
        except TrifacetError as error:
            return error

    def __getitem__(self, index: int) -> Example:
        with self._naming(index):
            return self._example(index, self.samples[index])

    def _example(self, index: int, sample: SupervisedSample | PreferenceSample) -> Example:
        """The versions of the described image come first in the list, the pictures shown beside each of them last."""
        contexts = self.contexts(index)
        responses = self.responses(sample)
        described, beside = self.image_versions(index), self.further_images(index)
        images = [*described, *beside]
        versions = {
            Facet.IMAGE: max(len(described) - 1, 0),
            Facet.CONTEXT: len(contexts) - 1,
            Facet.RESPONSE: len(responses) - 1,
        }
        cells = self.objective.cells(versions)
        shown = [[version, *range(len(described), len(images))] for version in range(len(described))] or [[]]
        asked = self.encoder.asked(sample)
        changes = self.changes(sample)
        if versions[Facet.CONTEXT] and self.objective.beside:
            first = rejected_comes_first(self.rejection.seed, sample.id)
            paths, cut = paths_beside(
                self.encoder, asked, sample.context, responses, images, cells, changes, rejected_first=first
            )
        else:
            paths, cut = self.encoder.paths(asked, contexts, responses, images, shown, cells, changes)
        drawn_anew = self.rejection.resample and self.makes_images(index)
        passing = tuple(range(1, len(described))) if drawn_anew else ()
        return Example(index, Encoded(tuple(paths), tuple(images), passing), versions, cut)

    def changes(self, sample: SupervisedSample | PreferenceSample) -> Changes | None:
        """How the sample's tokens are weighed; its segments count where it has one rejected response.

        Raises:
            DataError: segments that are none, or that are not in the responses; none where the recipe asks for them.
        """
        settings = self.changed_tokens
        if settings is None:
            return None
        rejected = sample.rejected_responses if isinstance(sample, PreferenceSample) else ()
        if settings.source == "diff":
            return Changes(settings)
        segments = segments_of(sample.extra) if len(rejected) == 1 else None
        if segments is None and settings.source == "segments":
            fix = "set changed_tokens.source: auto, or give the row its segments and one rejected response"
            raise DataError("is missing", fix=fix, field=SEGMENTS)
        if segments is not None:
            for text, side in zip((sample.response, *rejected), zip(*segments, strict=True), strict=False):
                segment_spans(text, side)
        return Changes(settings, segments or None)

    def versions(self, index: int) -> dict[Facet, int]:
        """How many rejected versions of each facet the sample has, without opening an image."""
        sample = self.samples[index]
        given = len(self.given_images(sample))
        rejects_image = Facet.IMAGE in self.objective.rejected_facets and sample.image is not None
        if self.objective.beside and rejects_image and (given or self.rejection.image_versions) > 1:
            raise DataError(
                f"objective {self.objective.name!r} shows one rejected image beside the chosen one, not several",
                fix="keep one, and set rejected.image.versions: 1",
                field="rejected_images",
            )
        return {
            Facet.IMAGE: (given or self.rejection.image_versions) if rejects_image else 0,
            Facet.CONTEXT: len(self.contexts(index)) - 1,
            Facet.RESPONSE: len(self.responses(sample)) - 1,
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
        self.without = Counter()
        if any(map(self.makes_images, range(len(self)))):
            self.pictures.refuse_lacking_regions()
        for index, sample in enumerate(self.samples):
            with self._naming(index):
                self.changes(sample)
                versions = self.versions(index)
                self.without.update(
                    facet
                    for facet in self.objective.rejected_facets
                    if not versions[facet] and not (self.objective.beside and facet is Facet.CONTEXT)
                )
                if not self.objective.cells(versions):
                    lacking = " and ".join(
                        what for what, there in (("image", sample.image), ("post", sample.context.strip())) if not there
                    )
                    raise DataError(
                        f"sample {sample.id!r} has no {lacking}, and every term of objective {self.objective.name!r} "
                        "rejects that",
                        fix="leave the sample out or add a term that does not",
                    )
            self.refuse_equal(index)
            self._check_images(index)

    def _check_images(self, index: int) -> None:
        sample = self.samples[index]
        for field, names in (
            ("image", sample.pictures[:1]),
            ("more_images", sample.more_images),
            ("rejected_images", self.given_images(sample)),
        ):
            for name in names:
                with self._naming(index, field):
                    size = self.size(name)
                    if field == "image" and self.makes_images(index):
                        self.pictures.check_mask(index, size)

    def size(self, name: str) -> tuple[int, int]:
        """Width and height of an image by its header, which is read once. Raises DataError as ``check_image`` does."""
        if name not in self._sizes:
            facts = check_image(self.images, name, max_pixels=self.max_pixels)
            self._sizes[name] = facts.width, facts.height
        return self._sizes[name]

    def refuse_equal(self, index: int) -> None:
        """Raise DataError where the data reject what they choose, as ``trifacet data check`` does: no term learns."""
        sample = self.samples[index]
        if not isinstance(sample, PreferenceSample):
            return
        for facet in self.objective.rejected_facets:
            with self._naming(index, field := f"rejected_{facet}s"):
                if rejects_chosen(sample, facet, self._same_image):
                    raise DataError(f"rejected {facet} equals the chosen one", fix=_EQUAL, field=field)

    def _same_image(self, one: str, other: str) -> bool:
        first, second = (resolve_inside(self.images, name) for name in (one, other))
        try:
            return one == other or filecmp.cmp(first, second, shallow=False)
        except OSError:
            return False  # what cannot be read is refused as such

    def contexts(self, index: int) -> list[str]:
        """The chosen context, then the rejected ones that the objective asks for.

        A sample without a post has none: its terms that reject the context are left out. Where the objective has the
        images beside each other it is the same post again, for a sample with an image.
        """
        sample = self.samples[index]
        if self.objective.beside:
            return [sample.context] * (1 if sample.image is None else 2)
        if Facet.CONTEXT not in self.objective.rejected_facets or not sample.context.strip():
            return [sample.context]
        if isinstance(sample, PreferenceSample) and sample.rejected_contexts:
            return [sample.context, *sample.rejected_contexts]
        if lenders := self._partners(index, self._contexts, self.rejection.context_versions):
            return [sample.context, *(self._contexts[lender] for lender in lenders)]
        drawn = rejected_contexts(
            self._contexts,
            index,
            seed=self.rejection.seed,
            sample_id=sample.id,
            versions=self.rejection.context_versions,
            epoch=self.epoch,
        )
        return [sample.context, *drawn]

    def _partners(
        self, index: int, contents: Sequence[str | None], versions: int, beside: Sequence[str] = ()
    ) -> list[int]:
        """The samples of the same batch that lend this one their content; none where batches are not grouped."""
        if self.groups is None:
            return []
        group = self.groups.from_here(index)
        return [group[place] for place in partners([contents[one] or "" for one in group], versions, beside=beside)]

    def responses(self, sample: SupervisedSample | PreferenceSample) -> list[str]:
        """The chosen response, then the rejected ones that the objective asks for."""
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
        """The chosen image, RGB, of a sample that has one."""
        return self.pictures.chosen(index)

    def image_versions(self, index: int) -> list[ImageInput]:
        """The chosen image as the encoder reads it, then the rejected ones that the objective asks for.

        A sample without an image has none: its terms that reject the image are left out.
        """
        sample, family = self.samples[index], self.encoder.family
        if sample.image is None:
            return []
        chosen = self.picture(index)
        versions = [family.read(chosen)]
        if Facet.IMAGE not in self.objective.rejected_facets:
            return versions
        if given := self.given_images(sample):
            return versions + [family.read(self.pictures.load(name, index, "rejected_images")) for name in given]
        return versions + self.pictures.made(index, chosen, versions[0])

    def preview(self, index: int, version: int = 1) -> Image.Image:
        """The rejected image of a sample that the strategy makes, to look at."""
        return self.pictures.preview(index, version)

    def further_images(self, index: int) -> list[ImageInput]:
        """The post's other pictures as the encoder reads them: the same beside every version of the described one."""
        family, load = self.encoder.family, self.pictures.load
        return [family.read(load(name, index, "more_images")) for name in self.samples[index].more_images]

    def drawn(self, index: int) -> Drawn | None:
        """What becomes of a sample's rejected image as far as regions go; None where no strategy makes it one."""
        return self.pictures.drawn(index) if self.makes_images(index) else None

    def makes_images(self, index: int) -> bool:
        """Whether the strategy makes the sample's rejected images."""
        sample = self.samples[index]
        rejects = Facet.IMAGE in self.objective.rejected_facets and sample.image is not None
        return rejects and not self.given_images(sample)

    def given_images(self, sample: SupervisedSample | PreferenceSample) -> tuple[str, ...]:
        """The rejected images that the data give, where the objective asks for any."""
        wanted = Facet.IMAGE in self.objective.rejected_facets
        return sample.rejected_images if wanted and isinstance(sample, PreferenceSample) else ()

    @contextmanager
    def _naming(self, index: int, field: str | None = None) -> Iterator[None]:
        """Says which sample an error is about, and its row in which file."""
        try:
            yield
        except TrifacetError as error:
            row = self.rows[index] if self.rows else None
            raise of_sample(self.samples[index].id, error, field, file=self.file, row=row) from None

    def fingerprint(self, files: FilesRead | None = None) -> dict[str, str]:
        """What scores depend on besides the weights: samples with their images, versions, cells, way of asking.

        ``files``: what is read already, digests included (None: nothing).
        """
        digest, files = hashlib.sha256(), files or FilesRead()
        for index, sample in enumerate(self.samples):
            digest.update(sample.model_dump_json(exclude={"extra"}).encode())
            if sample.system is not None:
                digest.update(json.dumps({"system": sample.system}).encode())
            if self.encoder.quoting is not None:
                with self._naming(index):
                    digest.update(json.dumps({"words": self.encoder.asked(sample).words}).encode())
            if (changes := self.changes(sample)) is not None and changes.segments:
                digest.update(json.dumps({"segments": changes.segments}).encode())
            digest.update(str(self.cells(index)).encode())
            names = [*sample.pictures, *(sample.rejected_images if isinstance(sample, PreferenceSample) else ())]
            with self._naming(index, "image"):
                digest.update("".join(files.digest(resolve_inside(self.images, name)) for name in names).encode())
        rejection = self.rejection
        rejected = {
            "image": rejection.strategy.fingerprint(),
            "versions": [rejection.image_versions, rejection.context_versions],
            "seed": rejection.seed,
            **self.pictures.fingerprint(),
            **({"beside": INSTRUCTION} if self.objective.beside else {}),
            **({"in batches of": self.groups.size} if self.groups else {}),
            **({"parts": text_digest(str(self.groups.parts))} if self.groups and self.groups.parts else {}),
        }
        encoder, quoting = self.encoder, self.encoder.quoting
        asking = [encoder.prompt, encoder.context_label, encoder.max_length]
        return {
            "samples": digest.hexdigest(),
            "rejected versions": json.dumps(rejected, sort_keys=True),
            "corners": ", ".join(str(corner) for corner in self.objective.corners),
            "prompt and length": json.dumps([*asking, *([quoting.label] if quoting else [])]),
            **({"changed tokens": self.changed_tokens.model_dump_json()} if self.changed_tokens else {}),
            "processor": _processor_fingerprint(encoder.family.processor),
        }


def _processor_fingerprint(processor: Any) -> str:
    parts = [
        processor.tokenizer.backend_tokenizer.to_str(),
        json.dumps(processor.image_processor.to_dict(), sort_keys=True, default=str),
        str(processor.chat_template),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Collator:
    """Joins examples into a batch with the objective's plan and, where given, the reference's scores.

    ``rows`` as for ``collate``: one trie over the batch, one per sample, or one row per cell as a check or fallback.
    """

    def __init__(self, examples: Examples, reference: list[Tensor] | None = None, *, rows: Rows = "batch") -> None:
        self.objective, self.family = examples.objective, examples.encoder.family
        self.pad_id = int(examples.encoder.tokenizer.pad_token_id or 0)
        self.reference, self.rows = reference, rows

    def of_loader(self, examples: Sequence[Example] | TrifacetError) -> tuple[Batch, LossInputs] | TrifacetError:
        """A loader's ``collate_fn``: an error among its examples takes the place of the batch; ``sound`` raises it."""
        return examples if isinstance(examples, TrifacetError) else self(examples)

    def seen(self, examples: Sequence[Example]) -> Batch:
        """What the model sees of them."""
        return collate([example.encoded for example in examples], self.family, self.pad_id, self.rows)

    def __call__(self, examples: Sequence[Example]) -> tuple[Batch, LossInputs]:
        known = self.reference
        cached = None if known is None else torch.cat([known[example.index] for example in examples])
        return self.seen(examples), LossInputs(
            make_plan(self.objective, [example.versions for example in examples]),
            [example.index for example in examples],
            [example.index for example in examples if example.cut_tokens],
            cached,
        )
