"""Caption metrics: the COCO toolkit on fakecap, MCM-DPO's script on fakecap and Pinterest, NLTK's METEOR.

Values are in the official program's own unit, not x 100. "per caption" rows: ours is the largest difference of any
caption. Tokens are ours (the PTB-compatible tokeniser) from the raw captions; METEOR 1.5's rows need Java. NLTK's
METEOR looks up the synonyms that come with Trifacet; the official values were made with the whole WordNet.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from parity.row import Row
from trifacet.base.errors import TrifacetError
from trifacet.metrics.coco import Tokenized, coco_measures, tokenized
from trifacet.metrics.meteor_jar import meteor_measure
from trifacet.metrics.paper import paper_scores
from trifacet.metrics.wordnet import packaged_wordnet
from trifacet.statistics.measures import Measure

NEAR = 1e-9
NAMES = {
    "coco/bleu_1": "Bleu_1", "coco/bleu_2": "Bleu_2", "coco/bleu_3": "Bleu_3", "coco/bleu_4": "Bleu_4",
    "coco/rouge_l": "ROUGE_L", "coco/cider": "CIDEr", "coco/meteor_1.5": "METEOR",
}  # fmt: skip
PAPER = {
    "bleu_4": "bleu_4", "bleu_4_cumulative": "cum_bleu_4", "meteor": "meteor", "rouge_l": "rouge", "cider": "cider",
}  # fmt: skip


def rows(data: Path) -> Iterator[Row]:
    captions = json.loads((data / "coco_fakecap" / "fakecap_with_refs.json").read_text(encoding="utf-8"))
    found = tokenized(
        [str(row["_id"]) for row in captions],
        [row["candidates"][0] for row in captions],
        [row["references"] for row in captions],
    )
    yield from _coco(data, found)
    yield from _paper(data, [(row["candidates"][0], row["references"][0]) for row in captions])
    yield from _nltk(data, found)


def _coco(data: Path, found: Tokenized) -> Iterator[Row]:
    oracle = _gzipped(data / "coco_fakecap" / "oracle_pycocoevalcap_1.2.json.gz")
    measures = coco_measures(found)
    expected = json.loads((data / "EXPECTED.json").read_text(encoding="utf-8"))["coco_fakecap"]["bleu_internals"]
    sums = measures[0].sums_UK.sum(axis=0)
    targets = [("words", expected["testlen"]), ("reference words", expected["reflen"])]
    targets += [(f"guess {order}", value) for order, value in enumerate(expected["guess"], start=1)]
    targets += [(f"correct {order}", value) for order, value in enumerate(expected["correct"], start=1)]
    for place, (name, value) in enumerate(targets):
        yield Row(f"BLEU {name}", "fakecap", float(sums[place]), value)
    try:
        measures.append(meteor_measure(found))
    except TrifacetError as error:
        print(f"METEOR 1.5 is left out: {error}")
    for measure in measures:
        yield from _of(measure, oracle)


def _of(measure: Measure, oracle: dict[str, Any]) -> Iterator[Row]:
    name = NAMES[measure.name]
    yield Row(f"{name} (coco)", "fakecap", measure.value / 100, oracle["corpus"][name], NEAR)
    theirs = [oracle["per_image"][name][unit] for unit in measure.units]
    yield Row(f"{name} (coco), per caption", "fakecap", _furthest(measure.of_units() / 100, theirs), 0.0, NEAR)


def _paper(data: Path, fakecap: list[tuple[str, str]]) -> Iterator[Row]:
    oracle = json.loads((data / "mcmdpo_metrics" / "mcmdpo_oracle.json").read_text(encoding="utf-8"))
    for key, label, pairs in (
        ("fakecap_vs_ref0", "fakecap, first reference", fakecap),
        ("pinterest_train_rejected_vs_chosen", "Pinterest, 10 pairs",
         oracle["pinterest_train_rejected_vs_chosen"]["pairs"]),
    ):  # fmt: skip
        hypotheses, references = zip(*pairs, strict=True)
        # The targets were made with one sentence per text, also where punkt is installed.
        scored = paper_scores(hypotheses, references, tokenize=_one_line, wordnet=packaged_wordnet()).rows
        for ours, theirs in PAPER.items():
            values = [row[ours] / 100 for row in scored]
            yield Row(f"{ours} (paper)", label, float(np.mean(values)), oracle[key]["agg"][theirs], NEAR)
            targets = [row[theirs] for row in oracle[key]["per"]]
            yield Row(f"{ours} (paper), per caption", label, _furthest(values, targets), 0.0, NEAR)


def _nltk(data: Path, found: Tokenized) -> Iterator[Row]:
    """NLTK's METEOR on PTB tokens: the paper profile's function with a plain split, per reference."""
    from nltk.translate.meteor_score import single_meteor_score

    wordnet = packaged_wordnet().reader
    oracle = _gzipped(data / "meteor" / "meteor_nltk_3.10.4_fakecap.json.gz")
    scores = [
        [single_meteor_score(reference, words, wordnet=wordnet) for reference in references]
        for words, references in zip(found.hypotheses, found.references, strict=True)
    ]
    for key, label, ours in (
        ("nltk_best_ref", "best reference", [max(one) for one in scores]),
        ("nltk_ref0", "first reference", [one[0] for one in scores]),
    ):
        theirs = [oracle[key][name] for name in found.ids]
        yield Row(f"METEOR of NLTK, {label}", "fakecap, PTB tokens", float(np.mean(ours)), float(np.mean(theirs)), NEAR)
        yield Row(f"METEOR of NLTK, {label}, per caption", "fakecap, PTB tokens", _furthest(ours, theirs), 0.0, NEAR)


def _furthest(ours: Iterable[float], theirs: Iterable[float]) -> float:
    return float(np.abs(np.array(list(ours)) - np.array(list(theirs))).max())


def _one_line(text: str) -> list[str]:
    from nltk.tokenize import word_tokenize

    tokens: list[str] = word_tokenize(text, preserve_line=True)
    return tokens


def _gzipped(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))
