"""Whether the small CLIP knows the world, and how much less like their captions it finds rejected images.

    python -m trifacet.demo.clip runs/mfpo/clip
    python bench/clip_quality.py runs/mfpo/clip
    python bench/clip_quality.py runs/mfpo/clip clipseg=runs/mfpo/locator lowest-similarity=runs/mfpo/clip

On pictures that no split and no training has, with 95 % intervals over pictures:

* picture finds text, text finds picture: of a hundred captions (pictures) the own is the most similar; true above
  rejected: the true caption is more similar than one that the world's habits make wrong. Per cent.
* drops: CLIPScore (0 to 2.5) of the picture less that of its rejected image, what ``rejected.image.similarity``
  reports, where key regions are spoilt and where as much is elsewhere (``random-region``), alike; key first: pictures
  in which key regions cost more, per cent. Key regions are the true masks, and those of each locator that is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from mfpo.locators_quality import SIZE, Shown, opened, shown
from torch import Tensor
from torch.nn.functional import normalize
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from trifacet.demo.facts import scene_generator
from trifacet.demo.locator import normalised
from trifacet.demo.things import mask_of
from trifacet.demo.things_texts import worse_caption
from trifacet.metrics.clipscore import ClipScorer
from trifacet.preferences.rejected import images
from trifacet.preferences.rejected.masks import Mask, union
from trifacet.preferences.rejected.regions import RegionOptions
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.regions.looking import Look
from trifacet.statistics.measures import Measure, mean_measure, share_measure
from trifacet.statistics.significance import bca_intervals

POOL = 100  # captions among which the own one is sought
PERTURBATIONS = ("blur", "mean", "black", "inpaint", "diffusion")
Masks = Callable[[Shown], Mask | None]


def embedded(scorer: ClipScorer, texts: Sequence[str]) -> Tensor:
    """Vectors of texts, of length 1, (N, d)."""
    given = scorer.tokens(list(texts), padding=True, return_tensors="pt")
    vectors_Nd: Tensor = normalize(scorer.model.get_text_features(**given).pooler_output, dim=-1)
    return vectors_Nd


@torch.inference_mode()
def knowledge(scorer: ClipScorer, pictures: Sequence[Shown], seed: int) -> list[Measure]:
    """How well captions and pictures find each other."""
    ids, captions = zip(*((one.look.sample.id, one.look.sample.response) for one in pictures), strict=True)
    worse = [worse_caption(one.scene, scene_generator(seed, "worse", at))[1] for at, one in enumerate(pictures)]
    pixels = scorer.images(images=[one.look.picture for one in pictures], return_tensors="pt")
    seen_Nd = normalize(scorer.model.get_image_features(**pixels).pooler_output, dim=-1)
    true_Nd, worse_Nd = embedded(scorer, captions), embedded(scorer, worse)
    found: dict[str, list[bool]] = {"picture finds text": [], "text finds picture": []}
    for start in range(0, len(ids), POOL):
        pool = slice(start, start + POOL)
        alike_NN = seen_Nd[pool] @ true_Nd[pool].T
        for name, best_N in zip(found, (alike_NN.argmax(1), alike_NN.argmax(0)), strict=True):
            found[name] += [captions[pool][at] == captions[pool][best] for at, best in enumerate(best_N.tolist())]
    found["true above rejected"] = ((seen_Nd * (true_Nd - worse_Nd)).sum(1) > 0).tolist()
    return [share_measure(name, ids, values, np.ones(len(ids))) for name, values in found.items()]


def drops(scorer: ClipScorer, pictures: Sequence[Shown], masks: Masks, perturbation: str) -> list[Measure]:
    """What the score loses by regions that are spoilt: the key regions, and as much elsewhere."""
    options = RegionOptions(perturbation=perturbation)
    key, elsewhere = (
        images.image_strategy(name, regions=options) for name in (f"region-{perturbation}", "random-region")
    )
    rows = {}
    for one in pictures:
        seen = seen_by_strategies(one.look, masks(one))
        made = [images.shown(images.rejected_image(strategy, seen), seen) for strategy in (key, elsewhere)]
        whole, *spoilt = scorer([seen.response] * 3, [seen.picture, *made])
        rows[one.look.sample.id] = [whole - score for score in spoilt]
    first = [float(by_key > by_other) for by_key, by_other in rows.values()]
    return [
        mean_measure("key regions", {name: row[0] for name, row in rows.items()}),
        mean_measure("random region", {name: row[1] for name, row in rows.items()}),
        share_measure("key first", list(rows), first, np.ones(len(rows))),
    ]


def seen_by_strategies(look: Look, mask: Mask | None) -> Seen:
    """What a strategy sees of a picture and its caption; the encoder's frames are the CLIP's."""
    return Seen(
        look.picture,
        look.sample.response,
        Draw(look.seed, look.sample.id),
        lambda picture: normalised([picture]),
        OPENAI_CLIP_MEAN,
        OPENAI_CLIP_STD,
        lambda: look.picture,  # asked for by strategies that show another sample's alone
        mask,
    )


def true_masks(one: Shown) -> Mask | None:
    """All things of the picture."""
    return union(mask_of(thing, SIZE) for thing in one.scene.things)


def located(given: str) -> tuple[str, Masks]:
    """What the locator of ``name=checkpoint`` finds, and what to call it."""
    name, locator = opened(given)
    return name, lambda one: union(region.mask for region in locator.locate(one.look))


def cells(measures: Sequence[Measure], seed: int) -> Iterator[str]:
    """Values with their intervals."""
    for one, between in zip(measures, bca_intervals(measures, seed=seed), strict=True):
        digits = 3 if one.value < 2.5 else 1
        low_high = f" [{between[0]:.{digits}f}, {between[1]:.{digits}f}]" if between else ""
        yield f"{one.value:.{digits}f}{low_high}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="folder of a CLIP model")
    parser.add_argument("locators", nargs="*", help="name=checkpoint, such as clipseg=runs/mfpo/locator")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--perturbations", nargs="+", choices=PERTURBATIONS, default=["blur"])
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scorer = ClipScorer(options.clip, device="cpu")
    pictures = shown(options.pictures, options.seed)
    known = knowledge(scorer, pictures, options.seed)
    print(f"{len(pictures)} pictures of {SIZE} px\n\n| {' | '.join(one.name for one in known)} |\n|{'---:|' * 3}")
    print(f"| {' | '.join(cells(known, options.seed))} |\n")
    print(f"| spoilt by | key regions by | drop | drop of a random region | key first |\n|---|---|{'---:|' * 3}")
    regions = dict([("true masks", true_masks), *map(located, options.locators)])
    for perturbation in options.perturbations:
        for name, masks in regions.items():
            measured = drops(scorer, pictures, masks, perturbation)
            print(f"| {perturbation} | {name} | {' | '.join(cells(measured, options.seed))} |", flush=True)


if __name__ == "__main__":
    main()
