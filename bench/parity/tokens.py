"""The tokeniser beside the Java one's recorded output: the share of lines whose tokens are all the same."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from parity.row import Row
from trifacet.metrics.ptb import tokenize_all


def rows(data: Path) -> Iterator[Row]:
    with gzip.open(data / "ptb_tokenizer" / "ptb_oracle.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    exact: dict[str, list[bool]] = defaultdict(list)
    for pair, tokens in zip(pairs, tokenize_all([pair["text"] for pair in pairs]), strict=True):
        exact[pair["group"]].append(" ".join(tokens) == pair["ptb"])
    exact["all"] = [line for same in exact.values() for line in same]
    for group, same in exact.items():
        yield Row("PTB tokens, share of lines", f"{group}, {len(same)} lines", sum(same) / len(same), 1.0)
