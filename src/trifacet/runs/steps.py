"""The steps of a run around the training: data, base model, texts, scores, pictures.

Invariant: every step looks whether its finished output is there and does only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing_folder, write_atomically
from trifacet.base.images import load_image
from trifacet.base.progress import Bar
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.comparing.document import document as comparison_document
from trifacet.data.records import TestSample
from trifacet.data.settings import Split
from trifacet.demo.make import write_world
from trifacet.demo.tiny import make_tiny_llava
from trifacet.generation.results import generate_to_file
from trifacet.generation.texts import Generated
from trifacet.metrics.scores import Scores, measures_of, score_texts
from trifacet.models.loading import load_processor, weights_fingerprint
from trifacet.preferences.facets import Facet
from trifacet.preferences.rejected.images import preview_rejected_image
from trifacet.preferences.rejected.samples import image_donors
from trifacet.runs.folder import WORLD_MARK
from trifacet.training.bad_rows import note_skipped, read_skipped, usable_samples
from trifacet.training.recipe import Recipe
from trifacet.training.sources import Start, encoder_of, has_split, load_for, rejection_of, source_of
from trifacet.training.stages import stage_folder

PREVIEWS = 6


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


def base_model(recipe: Recipe) -> Start:
    """The model that the run starts from; a tiny one is made first, its tokenizer learned from the run's own texts."""
    if recipe.model.tiny is None:
        assert recipe.model.path is not None  # the recipe has one of the two
        return Start("base", recipe.model.path)
    folder = stage_folder(recipe, "base") / "model"
    if not folder.is_dir():
        with replacing_folder(folder) as partial:
            make_tiny_llava(recipe.model.tiny, _texts(recipe), partial, recipe.seed)
    return Start("base", folder)


def start_of(recipe: Recipe, name: str, base: Start) -> Start:
    """The model that the stage ``name`` starts from: the supervised one where it is asked for or there is one."""
    wanted = "base" if name == "sft" else recipe.align[name].start
    if wanted == "sft" or (wanted == "auto" and recipe.sft is not None):
        return Start("sft", checkpoint_of(recipe, "sft"))
    return base


def _texts(recipe: Recipe) -> list[str]:
    """Every text that training will see: request, posts, responses."""
    splits: tuple[Split, ...] = ("sft", "preference")
    samples = [sample for split in splits if has_split(recipe, split) for sample in source_of(recipe, split).read()]
    rejected = [text for sample in samples for text in getattr(sample, "rejected_responses", ())]
    chosen = [text for sample in samples for text in (sample.context, getattr(sample, "response", ""))]
    asking = [f"USER: {recipe.data.prompt}\n{recipe.data.context_label}\n ASSISTANT: "]
    return asking + chosen + rejected


def describe(recipe: Recipe, name: str, checkpoint: str | Path, split: Split) -> list[Generated]:
    """The texts of one model for ``split``, in ``generations/<name>.jsonl``."""
    source = source_of(recipe, split)
    samples = _test_samples(recipe, split)
    loaded = load_for(recipe, checkpoint)
    with Bar(f"{name}: texts") as bar:
        return generate_to_file(
            loaded.model,
            encoder_of(recipe, loaded.family),
            samples,
            recipe.folder / "generations" / f"{name}.jsonl",
            images_root=source.images,
            settings=recipe.generate,
            weights=weights_fingerprint(loaded.model),
            seed=recipe.seed,
            on_progress=bar.update,
            max_pixels=recipe.data.max_pixels,
        )


def _test_samples(recipe: Recipe, split: Split) -> list[TestSample]:
    source, data, limit = source_of(recipe, split), recipe.data, recipe.generate.limit
    if not source.skip:
        everything: list[Any] = source.read()[:limit]
        return everything
    usable, bad = usable_samples(source, max_pixels=data.max_pixels, workers=data.workers, limit=limit)
    note_skipped(recipe.folder, split, bad, len(usable) + len(bad))
    samples: list[Any] = usable
    return samples


def score_all(recipe: Recipe, texts: dict[str, list[Generated]], split: Split) -> dict[str, Any]:
    """Score every model's texts, compare them, and write ``scores.json``; returns its content."""
    samples = _test_samples(recipe, split)
    models: dict[str, Any] = {}
    scored: dict[str, Scores] = {}
    notes: list[str] = []
    for name, generated in texts.items():
        at_limit = sum(text.new_tokens >= recipe.generate.max_new_tokens for text in generated)
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


def preview_rejected(recipe: Recipe, processor_from: str | Path) -> None:
    """Save the rejected images of the first few preference samples, as the encoder sees them."""
    wanted = any(Facet.IMAGE in stage.resolved_objective().rejected_facets for stage in recipe.align.values())
    folder = recipe.folder / "rejected"
    if not wanted or (folder / "index.json").exists():
        return
    source, rejection = source_of(recipe, "preference"), rejection_of(recipe)
    unusable = {(line["file"], line["id"]) for line in read_skipped(recipe.folder)}
    samples: list[Any] = [sample for sample in source.read() if (str(source.file), sample.id) not in unusable]
    family = load_processor(
        processor_from,
        image_tiles=recipe.model.image_tiles,
        image_pixels=recipe.model.image_pixels,
        trust_remote_code=recipe.model.trust_remote_code,
    )
    paths = [sample.image for sample in samples]
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, sample in enumerate(samples[:PREVIEWS]):
        if sample.rejected_images or sample.image is None:
            continue  # the data give them: the gallery of `trifacet data show` is the place to see them
        donor = _donor(source.images, paths, number, sample, recipe)
        picture = preview_rejected_image(
            rejection.strategy,
            load_image(source.images, sample.image, max_pixels=recipe.data.max_pixels),
            lambda image: family.frames(family.read(image)),
            family.image_mean,
            family.image_std,
            seed=rejection.seed,
            sample_id=sample.id,
            version=1,
            donor=donor,
        )
        name = f"rejected/{number:02d}-1.png"  # an id may hold anything: it does not name a file
        picture.save(recipe.folder / name)
        chosen = str((source.images / sample.image).resolve())
        strategy = rejection.strategy.describe()
        index.append({"id": sample.id, "strategy": strategy, "chosen": chosen, "rejected": name})
    write_atomically(folder / "index.json", json.dumps(index, indent=1) + "\n")


def _donor(images: Path, paths: Sequence[str], number: int, sample: Any, recipe: Recipe) -> Any:
    def opened() -> Any:
        donors = image_donors(paths, number, seed=recipe.seed, sample_id=sample.id, beside=sample.more_images)
        return load_image(images, paths[donors[0]], max_pixels=recipe.data.max_pixels)

    return opened


def checkpoint_of(recipe: Recipe, name: str) -> Path:
    """The finished model of a stage. Raises TrifacetError when it is not there."""
    folder = stage_folder(recipe, name) / "model"
    if not folder.is_dir():
        raise TrifacetError(
            f"there is no finished model {folder}; run `trifacet {'sft' if name == 'sft' else 'align'}` first"
        )
    return folder
