"""The steps of a run around the training: data, base model, texts, scores, pictures.

Invariant: every step looks whether its finished output is there and does only what is missing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing_folder, write_atomically
from trifacet.base.images import resolve_inside
from trifacet.base.json_text import read_json
from trifacet.base.progress import Bar, console
from trifacet.base.seals import SEAL, folder_damages, seal_folder
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.comparing.document import document as comparison_document
from trifacet.data.records import TestSample
from trifacet.data.settings import Split, World
from trifacet.data.source import FilesRead, Source, has_split, source_of
from trifacet.data.words_read import COUNTS
from trifacet.data.writing import Written
from trifacet.demo.make import write_world
from trifacet.demo.tiny import make_tiny_llava
from trifacet.generation.results import write_to_file
from trifacet.generation.writer import FamilyWriter
from trifacet.lettering.request import block, quoted, stated
from trifacet.lettering.settings import COLUMN
from trifacet.metrics.scores import Scores, measures_of, score_texts
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_processor
from trifacet.preferences.facets import Facet
from trifacet.runs.folder import WORLD_MARK
from trifacet.training.bad_rows import note_skipped, usable_samples
from trifacet.training.recipe import Recipe
from trifacet.training.sources import Start, load_for, training_set
from trifacet.training.stage import stage_folder
from trifacet.training.words_read import read_words, splits_asked

MOST_BYTES = 1_000_000  # of what is kept of counts
PREVIEWS = 6  # samples whose rejected images are shown
VERSIONS = 5  # of each, at most


def make_world(recipe: Recipe) -> None:
    """Write the demo's world, unless it is there or the recipe reads files."""
    world = recipe.data.world
    folder = recipe.folder / "data"
    if world is None or (folder / WORLD_MARK).exists():
        return
    if folder.exists():
        raise TrifacetError(f"{folder} was not made by this run; move it away or choose another output")
    with replacing_folder(folder) as partial:
        write_world(partial, world, recipe.seed, recipe.model.tiny.image_size if recipe.model.tiny else 64)
        (partial / WORLD_MARK).touch()


def keep_words(recipe: Recipe, files: FilesRead, *, texts: bool) -> None:
    """Read the words of the pictures that models will be asked about; what is kept is not read again.

    ``texts``: those of the posts that are described at the end too.
    """
    told = read_words(recipe, splits_asked(recipe, texts=texts), files)
    kept = _counts(recipe.folder) | {split: one.as_dict() for split, one in told.items()}
    write_atomically(recipe.folder / COUNTS, json.dumps(kept, indent=1) + "\n")


def _counts(folder: Path) -> dict[str, Any]:
    """What earlier stages have noted; nothing where that cannot be read."""
    try:
        held = read_json(folder / COUNTS, MOST_BYTES)
    except DataError:
        return {}
    return held if isinstance(held, dict) else {}


def base_model(recipe: Recipe, files: FilesRead) -> Start:
    """The model that the run starts from; a tiny one is made first, its tokenizer learned from the run's own texts."""
    if recipe.model.tiny is None:
        assert recipe.model.path is not None  # the recipe has one of the two
        return Start("base", recipe.model.path)
    folder = stage_folder(recipe.folder, "base") / "model"
    if damage := next(folder_damages(folder), None):
        console.print(f"{folder / damage.name} {damage.problem}: made again", soft_wrap=True)
        shutil.rmtree(folder)
    if not folder.is_dir():
        with replacing_folder(folder) as partial:
            world = recipe.data.world or World()
            texts = _texts(recipe, files)
            make_tiny_llava(recipe.model.tiny, texts, partial, recipe.seed, world.kind, world.posts)
            seal_folder(partial)
    elif not (folder / SEAL).exists():  # made before there were seals
        seal_folder(folder)
    return Start("base", folder)


def start_of(recipe: Recipe, name: str, base: Start) -> Start:
    """The model that the stage ``name`` starts from: the supervised one where it is asked for or there is one."""
    wanted = "base" if name == "sft" else recipe.align[name].start
    if wanted == "sft" or (wanted == "auto" and recipe.sft is not None):
        return Start("sft", checkpoint_of(recipe, "sft"))
    return base


def _texts(recipe: Recipe, files: FilesRead) -> list[str]:
    """Every text that training will see: request, posts, responses."""
    splits: tuple[Split, ...] = ("sft", "preference")
    sources = [source_of(recipe.data, recipe.folder, one, files=files) for one in splits if has_split(recipe.data, one)]
    samples = [sample for source in sources for sample in source.read()]
    rejected = [text for sample in samples for text in getattr(sample, "rejected_responses", ())]
    chosen = [text for sample in samples for text in (sample.context, getattr(sample, "response", ""))]
    asking = [f"USER: {recipe.data.prompt}\n{recipe.data.context_label}\n ASSISTANT: "]
    if (quoting := WayOfAsking.of(recipe.data).quoting) is not None:
        read = [quoted(stated(one.extra[COLUMN]), quoting.characters).lines for one in samples if COLUMN in one.extra]
        asking += [block(lines, quoting.label) for lines in read if lines]
    requests = [sample.prompt for sample in samples if sample.prompt]
    return asking + requests + chosen + rejected


def posts_of(recipe: Recipe, split: Split, source: Source) -> list[TestSample]:
    """The posts of ``split`` that every model describes."""
    data, limit = recipe.data, recipe.generate.limit
    if not source.skip:
        everything: list[Any] = source.read()[:limit]
        return everything
    usable, bad = usable_samples(source, max_pixels=data.max_pixels, workers=data.workers, limit=limit)
    note_skipped(recipe.folder, split, bad, len(usable) + len(bad))
    samples: list[Any] = usable
    return samples


def describe(
    recipe: Recipe, name: str, checkpoint: str | Path, samples: Sequence[TestSample], images: Path
) -> list[Written]:
    """The texts of one model, in ``generations/<name>.jsonl``."""
    loaded = load_for(recipe.model, checkpoint, to_train=False)
    with Bar(f"{name}: texts") as bar:
        asks, limit = WayOfAsking.of(recipe.data).encoder(loaded.family), recipe.data.max_pixels
        return write_to_file(
            FamilyWriter(loaded.model, asks, recipe.generate, recipe.seed, limit),
            samples,
            texts_of(recipe, name),
            images_root=images,
            on_progress=bar.update,
            max_pixels=limit,
        )


def texts_of(recipe: Recipe, name: str) -> Path:
    """The file of one model's texts."""
    return recipe.folder / "generations" / f"{name}.jsonl"


def score_all(
    recipe: Recipe, texts: dict[str, list[Written]], split: Split, samples: Sequence[TestSample]
) -> dict[str, Any]:
    """Score every model's texts, compare them, and write ``scores.json``; returns its content."""
    models: dict[str, Any] = {}
    scored: dict[str, Scores] = {}
    notes: list[str] = []
    for name, generated in texts.items():
        at_limit = sum(not text.ended for text in generated)
        scores = scored[name] = score_texts({text.id: text.text for text in generated}, samples, at_limit=at_limit)
        models[name] = {
            "metrics": scores.metrics,
            "degenerate": scores.degenerate,
            "per_sample": scores.per_sample,
        }
        notes += [note for note in scores.notes if note not in notes and not scores.degenerate]
    document = {"profile": "paper", "split": split, "models": models, "notes": notes, "comparison": _compared(scored)}
    write_atomically(recipe.folder / "scores.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return document


def _compared(scored: Mapping[str, Scores]) -> dict[str, Any] | None:
    """How sure the scores are: what ``trifacet compare RUN --profile paper --pairs all --json`` says of them.

    All pairs, since a reader asks of the best whether it is more than chance better than the next. The supervised model
    is the baseline where there is one. None without a model.
    """
    contestants = [Contestant(name, name, measures_of(scores)) for name, scores in scored.items()]
    if not contestants:
        return None
    settings = ComparisonSettings(pairs="all", baseline="sft" if "sft" in scored else None)
    return comparison_document(compare(contestants, settings))


def preview_rejected(recipe: Recipe, processor_from: str | Path, files: FilesRead) -> None:
    """Save the rejected images of the first few samples, as the encoder sees them: of the first alignment with any."""
    rejecting = (
        (name, stage)
        for name, stage in recipe.align.items()
        if Facet.IMAGE in stage.resolved_objective().rejected_facets
    )
    name, stage = next(rejecting, ("", None))
    folder = recipe.folder / "rejected"
    if stage is None or (folder / "index.json").exists():
        return
    family = load_processor(
        processor_from,
        image_tiles=recipe.model.image_tiles,
        image_pixels=recipe.model.image_pixels,
        trust_remote_code=recipe.model.trust_remote_code,
    )
    encoder = WayOfAsking.of(recipe.data).encoder(family)
    examples = training_set(recipe, name, stage, files=files).trained_on(encoder, recipe.folder)
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, sample in enumerate(examples.samples[:PREVIEWS]):
        if getattr(sample, "rejected_images", ()) or sample.image is None:
            continue  # the data give them: the gallery of `trifacet data show` is the place to see them
        chosen = str(resolve_inside(examples.images, sample.image))
        for version in range(1, min(examples.rejection.image_versions, VERSIONS) + 1):
            file = f"rejected/{number:02d}-{version}.png"  # an id may hold anything: it does not name a file
            examples.preview(number, version).save(recipe.folder / file)
            strategy = examples.pictures.told(number, version)
            index.append({"id": sample.id, "strategy": strategy, "chosen": chosen, "rejected": file})
    write_atomically(folder / "index.json", json.dumps(index, indent=1) + "\n")


def checkpoint_of(recipe: Recipe, name: str) -> Path:
    """The finished model of a stage. Raises TrifacetError when it is not there."""
    folder = stage_folder(recipe.folder, name) / "model"
    if not folder.is_dir():
        raise TrifacetError(
            f"there is no finished model {folder}; run `trifacet {'sft' if name == 'sft' else 'align'}` first"
        )
    return folder
