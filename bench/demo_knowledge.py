"""What the models of a demo run know, apart from what they care to say: forced choice between a clean alt-text and the
same text with one fact changed, by log-prob.

    python bench/demo_knowledge.py runs/demo
    python bench/demo_knowledge.py STUDY/starts/seed-7-... --world STUDY/worlds/seed-7-...

A model is right about a fact of a post when the true text scores above every text with another value of that fact
(for names: eight drawn ones and whoever else the post mentions). Chance is one in the number of texts compared.
Greedy texts show a model's habit; this shows whether preferences have anything to bring out.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from trifacet.base.images import load_image
from trifacet.data.source import source_of
from trifacet.demo.alttext import clean
from trifacet.demo.facts import COLOURS, COUNTS, FACTS, NAMES, SHAPES, Scene
from trifacet.demo.make import post_of
from trifacet.engine.scoring import Encoded, TrieScorer, collate
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.preferences.facets import Cell
from trifacet.training.recipe import load_recipe

NAMES_COMPARED = 8


def other_values(scene: Scene, number: int) -> dict[str, list[object]]:
    """Per fact the values that the true one is compared with."""
    strangers = [name for name in NAMES if name not in (scene.name, scene.other)]
    names = random.Random(number).sample(strangers, NAMES_COMPARED) + ([scene.other] if scene.other else [])
    return {
        "name": [*names],
        "colour": [value for value in COLOURS if value not in scene.colours],
        "shape": [value for value in SHAPES if value not in scene.shapes],
        "count": [value for value in COUNTS if value != scene.count],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--posts", type=int, default=100)
    parser.add_argument(
        "--world", type=Path, help="the run that made the world, where it is another one, as in a study"
    )
    options = parser.parse_args()
    made = options.world or options.run
    recipe = load_recipe(made / "recipe.yaml", [f"output={made}"])
    source = source_of(recipe.data, recipe.folder, "test")
    samples = source.read()[: options.posts]
    if recipe.data.world is None or recipe.data.world.kind != "posts":
        parser.error(
            f"{made} did not make a world of posts; give --world the run whose recipe has data.world, kind posts"
        )
    posts = recipe.data.world.posts
    scenes = [post_of("test", number, recipe.seed, posts)[0] for number in range(len(samples))]
    right_texts = [[clean(scene, posts.clauses)] for scene in scenes]
    assert right_texts == [list(sample.references) for sample in samples]
    chances = [{fact: 1 / (1 + len(v)) for fact, v in other_values(s, k).items()} for k, s in enumerate(scenes)]
    print(f"share of {len(samples)} held-out posts, in per cent")
    print(f"{'':20}" + "".join(f"{fact:>8}" for fact in FACTS))
    print(f"{'chance':20}" + "".join(f"{100 * fmean(chance[fact] for chance in chances):8.0f}" for fact in FACTS))
    for folder in sorted(options.run.glob("models/*/model")):
        loaded = load_model(folder)
        encoder, scorer = (
            WayOfAsking.of(recipe.data).encoder(loaded.family),
            TrieScorer(loaded.model, loaded.family).eval(),
        )
        right: dict[str, list[bool]] = {fact: [] for fact in FACTS}
        for number, (sample, scene) in enumerate(zip(samples, scenes, strict=True)):
            changed = [(fact, value) for fact, values in other_values(scene, number).items() for value in values]
            told = [scene, *(replace(scene, **{fact: value}) for fact, value in changed)]
            texts = [clean(one, posts.clauses) for one in told]
            images = (loaded.family.read(load_image(source.images, sample.image)),)
            cells = [Cell(response=version) for version in range(len(texts))]
            paths, _ = encoder.paths(sample.prompt, [sample.context], texts, images, [[0]], cells)
            with torch.inference_mode():
                logps = scorer(collate([Encoded(tuple(paths), images)], loaded.family, 0)).tolist()
            for fact in FACTS:
                rivals = [score for score, (name, _) in zip(logps[1:], changed, strict=True) if name == fact]
                right[fact].append(logps[0] > max(rivals))
        print(f"{folder.parent.name:20}" + "".join(f"{100 * fmean(right[fact]):8.0f}" for fact in FACTS), flush=True)


if __name__ == "__main__":
    main()
