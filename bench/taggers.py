"""How many of a real pipeline's nouns the small tagger finds on captions, and how many of its own are nouns there.

    python bench/taggers.py en_core_web_sm             # the data at ../shared/data, or $TRIFACET_PARITY_DATA
    python bench/taggers.py en_core_web_sm --each 2000 --missed 20

The pipeline (a package or folder) is spaCy's and has to be installed; its NOUN and PROPN tokens are the nouns. Words
are matched by their place: spaCy parts "t-shirt" and we do not. Exit code 1 where recall is below 90 % on all texts
together.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from parity.row import DATA

from trifacet.base.spacy_models import spacy_model
from trifacet.regions.keywords.tagging import tagged, tokens

WANTED = 0.9


def texts(data: Path) -> Iterator[tuple[str, list[str]]]:
    """The name of each set of captions and its texts."""
    for file in sorted((data / "chair" / "pope_caption_data").glob("*.json.gz")):
        name = file.name.removesuffix(".json.gz").removeprefix("Instruction1_")
        yield f"captions by {name}", [row["text"] for row in _values(gzip.decompress(file.read_bytes()).decode())]
    rows = json.loads((data / "coco_fakecap" / "fakecap_with_refs.json").read_text(encoding="utf-8"))
    yield "COCO references", [text for row in rows for text in row["references"]]
    yield "COCO fakecap", [text for row in rows for text in row["candidates"]]
    rows = json.loads((data / "mmhal" / "mmhal-bench_answer_template.json").read_text(encoding="utf-8"))
    yield "MMHal answers", [row["gt_answer"] for row in rows]
    texts = [(data / "pinterest" / f"pinterest_{part}.json").read_text(encoding="utf-8") for part in ("train", "test")]
    yield "Pinterest alt-text", [row["chosen"] for text in texts for row in _values(text) if row.get("chosen")]


def _values(text: str) -> Iterator[dict[str, str]]:
    """The rows of a JSON array, or of values one after another."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        yield from value if isinstance(value, list) else [value]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", help="a spaCy pipeline with a tagger")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--each", type=int, default=500, help="texts of each set, from its beginning")
    parser.add_argument("--missed", type=int, default=0, help="show so many of the words that are missed most")
    options = parser.parse_args()
    if not (options.data / "coco_fakecap").is_dir():
        print(f"the data are not at {options.data}; name their folder in TRIFACET_PARITY_DATA", file=sys.stderr)
        return 2
    nlp = spacy_model(options.pipeline)
    missed: Counter[str] = Counter()
    sums = Counter[str]()
    print("| texts | number | nouns | recall | precision |\n|---|---:|---:|---:|---:|")
    for name, found in texts(options.data):
        mine = Counter[str]()
        for text in found[: options.each]:
            ours = [(one.start, one.end) for one in tagged(tokens(text, 2000)) if one.part == "noun"]
            theirs = [one for one in nlp(text) if one.pos_ in ("NOUN", "PROPN")]
            noun_at = {at for start, end in ours for at in range(start, end)}
            there = {at for one in theirs for at in range(one.idx, one.idx + len(one))}
            misses = [one.lower_ for one in theirs if one.idx not in noun_at]
            missed.update(misses)
            mine.update(texts=1, theirs=len(theirs), ours=len(ours), hit=len(theirs) - len(misses))
            mine["right"] += sum(not there.isdisjoint(range(start, end)) for start, end in ours)
        print(_line(name, mine), flush=True)
        sums += mine
    print(_line("all", sums))
    if options.missed:
        print("\nmissed:", ", ".join(f"{word} {count}" for word, count in missed.most_common(options.missed)))
    return 0 if sums["hit"] >= WANTED * sums["theirs"] else 1


def _line(name: str, sums: Counter[str]) -> str:
    recall, precision = sums["hit"] / sums["theirs"], sums["right"] / sums["ours"]
    return f"| {name} | {sums['texts']} | {sums['theirs']} | {recall:.1%} | {precision:.1%} |"


if __name__ == "__main__":
    sys.exit(main())
