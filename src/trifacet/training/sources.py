"""What the functions of a training are told, taken from the recipe's sections once: how models are held in memory,
how they are asked, and which samples there are to train on.

Invariant: training, scores of a reference, rewards and previews make a stage's samples and rejected versions here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from trifacet.base.errors import TrifacetError
from trifacet.data.settings import Split
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family
from trifacet.engine.kept_features import KeptFeatures
from trifacet.engine.scoring import Rows, TrieScorer
from trifacet.models.loading import LoadedModel, load_model, pick_device
from trifacet.models.settings import Model
from trifacet.preferences.changed import ChangedTokens
from trifacet.preferences.facets import Facet
from trifacet.preferences.objectives import OBJECTIVES, Objective
from trifacet.preferences.settings import Rejected
from trifacet.regions.store import Masks, open_masks
from trifacet.training.bad_rows import Bad, rows_left_out, usable_examples
from trifacet.training.batches import Groups
from trifacet.training.curriculum import DIFFICULTIES, read_groups
from trifacet.training.examples import Examples
from trifacet.training.pictures import Rejection
from trifacet.training.recipe import Align, Recipe, Supervised

REGIONS = "regions"  # the folder of a run's own
NO_FLEX_BACKWARD = ("cpu", "mps")  # devices


@dataclass(frozen=True)
class Start:
    """What a stage starts from: its name in the run (base, sft) and its checkpoint."""

    name: str
    path: str | Path


@dataclass(frozen=True)
class Scoring:
    """How checkpoints are held in memory and scored.

    ``rows``: how cells share rows: one trie over the batch, one per sample, or a row per cell as a check or fallback.
    """

    model: Model
    rows: Rows

    def load(self, checkpoint: str | Path) -> LoadedModel:
        """A checkpoint in memory. Raises as ``load_model`` does."""
        return load_for(self.model, checkpoint)

    def scorer(self, model: nn.Module, family: Family, kept: KeptFeatures | None = None) -> TrieScorer:
        """Adapters are kept in float32, so over a bfloat16 base the arithmetic is that of mixed precision.

        Raises:
            TrifacetError: the family needs a dense mask, and the recipe asks for other attention.
        """
        asked = self.model.attention
        if family.needs_dense_mask and asked in ("flex", "segments"):
            raise TrifacetError(
                f"model.attention: {asked} knows causal masks alone, and tokens of an image of {family.name} see each "
                "other; set dense, or leave it out"
            )
        return TrieScorer(model, family, mixed_precision=self.is_mixed, attention=asked, kept=kept)

    @property
    def is_mixed(self) -> bool:
        """Whether arithmetic is in bfloat16 over other weights."""
        return self.model.mixed_precision or (self.model.lora is not None and self.model.dtype == "bfloat16")


def scoring_of(model: Model, *, in_batch: bool) -> Scoring:
    """As the recipe's section says; ``in_batch``: members of a batch lend each other pictures.

    Under dense attention one row for a whole batch would be mostly pairs that cannot see each other; it pays where
    members of a batch lend each other pictures. Attention that leaves these pairs out takes the batch as one row.

    Raises:
        TrifacetError: a device that is not there, or attention that it does not have.
    """
    device = pick_device(model.device).type
    if model.attention == "segments" and device != "cpu":
        raise TrifacetError(f"model.attention: segments is for the CPU, and the device is {device}; set flex, or auto")
    if model.attention == "flex" and device in NO_FLEX_BACKWARD:
        raise TrifacetError(
            f"model.attention: flex needs a GPU, since FlexAttention has no backward pass on {device}; leave it out"
        )
    if not model.trie:
        return Scoring(model, "path")
    leaves_out = model.attention in ("flex", "segments") or (model.attention == "auto" and device == "cpu")
    return Scoring(model, "batch" if leaves_out or in_batch else "sample")


def load_for(model: Model, checkpoint: str | Path, *, to_train: bool = True) -> LoadedModel:
    """A checkpoint as the recipe wants it in memory, to train it or only to ask it. Raises as ``load_model`` does."""
    return load_model(
        checkpoint,
        dtype=model.dtype,
        device=model.device,
        image_tiles=model.image_tiles,
        image_pixels=model.image_pixels,
        trust_remote_code=model.trust_remote_code,
        four_bit=model.four_bit,
        merge=to_train,
    )


def rejection_of(rejected: Rejected, seed: int, masks: Masks | None = None) -> Rejection:
    """The recipe's rejected versions; ``masks``: where the key regions of the samples are, and what stands there."""
    return Rejection(
        strategy=rejected.image.made_by(),
        image_versions=rejected.image.versions,
        context_versions=rejected.context.versions,
        resample=rejected.resample,
        seed=seed,
        masks=masks,
        lettering=masks.lettering if masks else None,
    )


def looks_at_regions(recipe: Recipe, stage: Align, *, needs: bool = False) -> bool:
    """Whether the rejected images of an alignment are others for other regions; with ``needs``: make none without."""
    strategy = recipe.rejected.image.made_by()
    looks = strategy.needs_regions or (not needs and recipe.regions is not None and strategy.sees_regions)
    return looks and Facet.IMAGE in stage.resolved_objective().rejected_facets


def regions_folder(recipe: Recipe) -> Path:
    """Where the key regions of a recipe's samples are: the run's own, or those that it names."""
    given = recipe.regions.file if recipe.regions else None
    return recipe.folder / REGIONS if given is None else Path(given)


@dataclass(frozen=True)
class TrainingSet:
    """The samples of a stage, and how their rejected versions are made.

    Args:
        name: the stage's, under which the run lists the rows that are left out.
        source: the file.
        objective: says which versions are needed.
        rejection: how they are made.
        max_pixels: largest image.
        workers: processes that decode.
        limit: only the first so many rows that can be read (None: all); versions are drawn among these.
        in_batches_of: the size of the groups whose members lend each other versions (None: drawn from the whole set).
        changed_tokens: what counts for more in responses (None: nothing).
        similarity: a CLIP model that says what rejected images lose (None: nobody does).
    """

    name: str
    source: Source
    objective: Objective
    rejection: Rejection
    max_pixels: int
    workers: int = 0
    limit: int | None = None
    in_batches_of: int | None = None
    changed_tokens: ChangedTokens | None = None
    similarity: str | None = None

    def examples(self, encoder: SampleEncoder) -> tuple[Examples, list[Bad]]:
        """The examples that can be used, checked, and the rows that are left out. Raises as ``Examples.check``."""
        bad: list[Bad] = []
        if self.source.skip:
            examples, bad = usable_examples(
                lambda samples: self._of(samples, encoder),
                self.source,
                max_pixels=self.max_pixels,
                workers=self.workers,
                limit=self.limit,
            )
        else:
            examples = self._of(self.source.read()[: self.limit], encoder)
        examples.check()
        return examples, bad

    def trained_on(self, encoder: SampleEncoder, run: Path) -> Examples:
        """The examples that the stage of the run in the folder ``run`` used: less the rows that it lists."""
        gone = rows_left_out(run, self.name, self.source)
        examples = self._of([one for one in self.source.read()[: self.limit] if one.id not in gone], encoder)
        by_difficulty = run / "models" / self.name / DIFFICULTIES
        if examples.groups and by_difficulty.is_file():
            parts = read_groups(by_difficulty)
            examples.groups = Groups(len(examples), examples.groups.size, self.rejection.seed, parts)
        return examples

    def _of(self, samples: Sequence[Any], encoder: SampleEncoder) -> Examples:
        size = self.in_batches_of
        rows = {sample.id: row for row, sample in self.source.rows(lambda problem: None)}
        return Examples(
            samples,
            self.objective,
            encoder,
            self.source.images,
            self.rejection,
            max_pixels=self.max_pixels,
            groups=Groups(len(samples), size, self.rejection.seed) if size else None,
            changed_tokens=self.changed_tokens,
            file=self.source.file,
            rows=[rows[sample.id] for sample in samples],
        )


def training_set(
    recipe: Recipe,
    name: str,
    settings: Supervised | Align | None,
    *,
    objective: Objective | None = None,
    split: Split | None = None,
    files: FilesRead | None = None,
) -> TrainingSet:
    """The samples of a stage of ``recipe``.

    Args:
        recipe: the whole recipe.
        name: the stage's.
        settings: the stage's section (None: of no alignment in particular).
        objective: instead of the stage's own.
        split: instead of the stage's own.
        files: what is read already.

    Raises:
        TrifacetError: the recipe names no such file, or it is not there.
    """
    data, align = recipe.data, settings if isinstance(settings, Align) else None
    kind = "sft" if isinstance(settings, Supervised) or split == "sft" else "preference"
    there = split or ("sft" if kind == "sft" and has_split(data, "sft") else "preference")
    source = source_of(data, recipe.folder, there, kind, files=files)
    masks = None
    if align and there == "preference" and recipe.regions and looks_at_regions(recipe, align):
        masks = open_masks(regions_folder(recipe), max_pixels=data.max_pixels, files=source.files)
    return TrainingSet(
        name,
        source,
        objective or (align.resolved_objective() if align else OBJECTIVES["sft"]),
        rejection_of(recipe.rejected, recipe.seed, masks),
        data.max_pixels,
        data.workers,
        align.limit if align else None,
        align.batch_size if align and recipe.rejected.in_batch else None,
        align.changed_tokens if align else None,
        recipe.rejected.image.similarity if align else None,
    )
