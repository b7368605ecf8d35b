"""The samples of a recipe: which file a stage reads, and what its images are relative to.

Invariant: the demo's own world and a user's files look the same from here on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trifacet.base.errors import DataError, TrifacetError
from trifacet.data.formats import iter_samples
from trifacet.data.records import Sample
from trifacet.data.rows import OnProblem
from trifacet.data.settings import Split
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import Family
from trifacet.engine.scoring import Rows
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import LoadedModel, load_model, pick_device
from trifacet.preferences.rejected.images import ImageStrategy
from trifacet.training.examples import Rejection
from trifacet.training.recipe import Recipe


@dataclass(frozen=True)
class Source:
    """A data file, its format, the records to make of it, the folder of its images, and the label before a post.

    ``skip``: rows that cannot be read are left out instead of ending the run.
    """

    file: Path
    format: str
    kind: str
    images: Path
    label: str
    skip: bool = False

    def read(self) -> list[Sample]:
        """All samples. Raises DataError for the first bad row, or with ``skip`` where none is good."""
        return [sample for _, sample in self.rows(lambda problem: None)]

    def rows(self, on_bad_row: OnProblem) -> list[tuple[int, Sample]]:
        """All samples with their row numbers; ``on_bad_row`` is told what ``skip`` leaves out. Raises as ``read``."""

        def on_problem(problem: DataError) -> None:
            if not self.skip or problem.row is None:  # without a row it is the file that is damaged
                raise problem
            on_bad_row(problem)

        rows = list(iter_samples(self.file, self.kind, self.format, label=self.label, on_problem=on_problem))
        if not rows:
            raise DataError("has no rows that can be used", fix="give a file with at least one sample", file=self.file)
        return rows


def source_of(recipe: Recipe, split: Split, kind: str | None = None) -> Source:
    """The file of ``split`` (sft, preference, validation or test), to be read as ``kind`` (null: the split's own).

    Raises:
        TrifacetError: the recipe names none, or it is not there.
    """
    kind = kind or ("test" if split == "validation" else split)
    data = recipe.data
    if data.world is not None:
        folder = recipe.folder / "data"
        return Source(folder / f"{split}.jsonl", "trifacet", kind, folder, data.context_label)
    name = getattr(data, split)
    if name is None:
        raise TrifacetError(f"the recipe has no data.{split}; set it to a file below data.root")
    root = Path(data.root)
    file = root / name
    if not file.exists():
        raise TrifacetError(f"data.{split}: no file {file}; set data.root to the folder that holds {name}")
    images = data.images.get(split, "") if isinstance(data.images, dict) else data.images or ""
    return Source(file, data.format, kind, root / images, data.context_label, data.on_bad_row == "skip")


def has_split(recipe: Recipe, split: Split) -> bool:
    """Whether the recipe says where ``split`` comes from."""
    return recipe.data.world is not None or getattr(recipe.data, split) is not None


def load_for(recipe: Recipe, checkpoint: str | Path) -> LoadedModel:
    """A checkpoint as the recipe wants it in memory. Raises as ``load_model`` does."""
    model = recipe.model
    return load_model(
        checkpoint,
        dtype=model.dtype,
        device=model.device,
        image_tiles=model.image_tiles,
        image_pixels=model.image_pixels,
        trust_remote_code=model.trust_remote_code,
    )


def encoder_of(recipe: Recipe, family: Family) -> SampleEncoder:
    """The recipe's way of asking, for one family."""
    return WayOfAsking.of(recipe.data).encoder(family)


def rows_of(recipe: Recipe) -> Rows:
    """How cells share rows: one trie over the batch, one per sample, or a row per cell as a check or fallback.

    Off the CPU attention is dense, and one row for a whole batch would be mostly pairs that cannot see each other; it
    pays where members of a batch lend each other pictures.
    """
    if not recipe.model.trie:
        return "path"
    on_cpu = pick_device(recipe.model.device).type == "cpu"
    return "batch" if on_cpu or recipe.rejected.in_batch else "sample"


def rejection_of(recipe: Recipe) -> Rejection:
    """The recipe's rejected versions."""
    rejected = recipe.rejected
    return Rejection(
        strategy=ImageStrategy(rejected.image.strategy, rejected.image.t),
        image_versions=rejected.image.versions,
        context_versions=rejected.context.versions,
        resample=rejected.resample,
        seed=recipe.seed,
    )


@dataclass(frozen=True)
class Start:
    """What a stage starts from: its name in the run (base, sft) and its checkpoint."""

    name: str
    path: str | Path


def mixed_precision(recipe: Recipe) -> bool:
    """Adapters are kept in float32, so over a bfloat16 base the arithmetic is that of mixed precision."""
    model = recipe.model
    return model.mixed_precision or (model.lora is not None and model.dtype == "bfloat16")
