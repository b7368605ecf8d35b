"""Whether the confidence of a suggestion means anything: on posts of the demo's world, where truth is known.

    python bench/alt_confidence.py runs/demo/models/mcm-dpo/model --plot docs/images/alt-confidence.png

Writes five texts for each of fresh posts (a seed that no training used) and shows the one that agrees most with the
others. Each fact that it states (name, colour, shape, count) is right or wrong, and is said by one to five of the
texts. The curve is fitted on half of the posts; what is printed and drawn is of the other half: expected calibration
error of facts and of whole texts (share of a text's facts that is right), and what bounds withhold. Trains nothing.
``--write`` keeps the texts, ``--read`` takes them from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import matplotlib.pyplot as plt

from trifacet.data.formats import read_samples
from trifacet.data.settings import World
from trifacet.demo.make import write_world
from trifacet.describing.confidence import DEMO, Bin, calibration_error, fit, reliability
from trifacet.generation.opening import load_for_generation
from trifacet.generation.settings import Generation
from trifacet.generation.variation import Variation, said_by, vary
from trifacet.generation.writer import FamilyWriter
from trifacet.metrics.grounding import ground

SEED = 1_015  # of the posts


def write(model: str, posts: int, draws: int, temperature: float) -> list[dict[str, Any]]:
    """Per post the texts that were drawn, and the truth."""
    loaded, encoder = load_for_generation(model, prompt=None, dtype="float32", device="cpu")
    settings = Generation(beams=1, temperature=temperature, max_new_tokens=48, batch_size=40)
    with tempfile.TemporaryDirectory() as folder:
        files = write_world(Path(folder), World(sft=1, preference=1, validation=1, test=posts), SEED, 64)
        samples = read_samples(files["test"], "test")
        texts = FamilyWriter(loaded.model, encoder, settings, SEED).write(samples, folder, draws=draws)
    drawn: dict[str, list[str]] = {}
    for text in texts:
        drawn.setdefault(text.id, []).append(text.text)
    return [{"texts": drawn[sample.id], "extra": sample.extra} for sample in samples]


def draw_plot(bins: list[Bin], path: Path, title: str) -> None:
    """The reliability diagram."""
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    axes.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1, label="as confident as right")
    axes.plot([one.confidence for one in bins], [one.right for one in bins], marker="o", color="#1f4e79", label="facts")
    for one in bins:
        axes.annotate(
            str(one.count), (one.confidence, one.right), textcoords="offset points", xytext=(5, -11), fontsize=8
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of facts right", title=title)
    axes.legend(loc="upper left", frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def judged(row: dict[str, Any]) -> tuple[Variation, list[tuple[float, bool]]]:
    """What the texts of a post agree on; of each fact of the shown one the share that says it, whether it is right."""
    variation = vary(row["texts"])
    spans = ground(row["texts"][variation.place], row["extra"]).spans
    said = [said_by(row["texts"], variation.place, span.start) / len(row["texts"]) for span in spans]
    return variation, [(share, span.verdict == "right") for share, span in zip(said, spans, strict=True)]


def main() -> None:
    """See above."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", help="a model of `make demo`")
    options.add_argument("--posts", type=int, default=800)
    options.add_argument("--draws", type=int, default=5)
    options.add_argument("--temperature", type=float, default=0.7)
    options.add_argument("--plot", type=Path)
    options.add_argument("--write", type=Path, help="JSON file that the texts are kept in")
    options.add_argument("--read", type=Path, help="JSON file to take them from")
    given = options.parse_args()
    if given.read:
        rows = json.loads(given.read.read_text(encoding="utf-8"))
    else:
        rows = write(given.model, given.posts, given.draws, given.temperature)
    if given.write:
        given.write.write_text(json.dumps(rows), encoding="utf-8")
    posts = [judged(row) for row in rows]
    half = len(posts) // 2
    first = [ground(row["texts"][0], row["extra"]).values["grounding"] for row in rows]
    places = [one.place for one, _ in posts]
    shown = [ground(row["texts"][at], row["extra"]).values["grounding"] for row, at in zip(rows, places, strict=True)]
    print(f"posts {len(rows)}, draws {len(rows[0]['texts'])}; facts right: first sample {sum(first) / len(rows):.3f}, "
          f"the one that is shown {sum(shown) / len(rows):.3f}")  # fmt: skip
    facts = [fact for _, said in posts[:half] for fact in said]
    curve = fit([share for share, _ in facts], [right for _, right in facts])
    print(f"fitted on {len(facts)} facts of {half} posts: {curve}")
    facts = [fact for _, said in posts[half:] for fact in said]
    right = [good for _, good in facts]
    whole = [(one, sum(good for _, good in said) / len(said)) for one, said in posts[half:] if said]
    for name, calibration in (("fitted", curve), ("shipped", DEMO)):
        bins = reliability([calibration.of_share(share) for share, _ in facts], right)
        texts = reliability([calibration.of(one) for one, _ in whole], [share for _, share in whole])
        print(f"{name}: expected calibration error {calibration_error(bins):.3f} over {len(facts)} facts, "
              f"{calibration_error(texts):.3f} over {len(whole)} texts")  # fmt: skip
        for what, found in (("facts", bins), ("texts", texts)):
            told = "; ".join(f"{one.confidence:.2f}: {one.right:.2f} of {one.count}" for one in found)
            print(f"  {what}, share right by confidence: {told}")
        for bound in (0.4, 0.5, 0.6, 0.7):
            kept = [share for one, share in whole if calibration.of(one) >= bound]
            share = sum(kept) / len(kept) if kept else float("nan")
            print(f"  texts of at least {bound}: {len(kept)} of {len(whole)}, {share:.2f} of their facts right")
    wrong = [share < 1 for share, good in facts if not good]
    fine = [share < 1 for share, good in facts if good]
    print(f"marked as varying: {sum(wrong)} of {len(wrong)} wrong facts, {sum(fine)} of {len(fine)} right ones")
    if given.plot:
        bins = reliability([curve.of_share(share) for share, _ in facts], right)
        draw_plot(bins, given.plot, "Facts of the demo world, five samples")


if __name__ == "__main__":
    main()
