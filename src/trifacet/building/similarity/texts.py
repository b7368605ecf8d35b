"""What is kept of a text to find its near-duplicates: MinHash bands to find pairs, word pairs to compare them.

Invariant: case, punctuation, spaces and addresses of pages make no difference; a text of fewer words than asked for
has no signature, so it is never found to be alike another one ("Good morning!").

MinHash: A. Broder, "On the Resemblance and Containment of Documents", 1997. Two texts are as similar as the share of
pairs of neighbouring words that they have in common (Jaccard): by count, and with each pair weighted by how rare it is
among all texts (K. Sparck Jones, 1972), so that the words of a template do not make its texts the same. Texts put
together from what many texts say, each from another choice of it, say different things however much they share.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trifacet.building.similarity.spool import BLOCK, Spool
from trifacet.building.step import Signatures

HASHES = 96  # MinHash values per text, shared out among the bands
RECALL = 0.95  # least chance that a pair just at the threshold shares a band
MOST_PAIRS = 512  # word pairs kept of a text: of a longer one those with the smallest hashes stand for all
RARE = 4  # texts that may share a pair before it counts for less: a post and its copies
_BINS = 1 << 22  # of the table that counts pairs: with many millions of pairs some seem a little less rare
_SEED = 42  # of the hash functions; part of what a signature is
_ADDRESS = re.compile(r"(https?://|www\.)\S+")
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)

_Ints = NDArray[np.int64]


def words_of(text: str) -> list[str]:
    """Words in lower case without what does not matter; each character of Chinese, Japanese or Korean is one."""
    return _WORD.findall(_ADDRESS.sub(" ", unicodedata.normalize("NFKC", text).casefold()))


def band_rows(similarity: float) -> int:
    """MinHash values per band: as many as still find pairs of this similarity with chance ``RECALL``."""
    fits = [rows for rows in range(2, 17) if 1 - (1 - similarity**rows) ** (HASHES // rows) >= RECALL]
    return max(fits, default=2)


def band_names(similarity: float) -> list[str]:
    """The columns of the bands' keys."""
    return [f"text_{number:02}" for number in range(HASHES // band_rows(similarity))]


def sign_texts(texts: list[str], min_words: int, similarity: float) -> dict[str, pa.Array]:
    """Columns ``band_names`` (uint64) and ``pairs`` (list of uint32), null for texts of fewer than ``min_words``."""
    from rensa import RMinHash

    words = [words_of(text) for text in texts]
    enough = np.array([len(found) >= max(2, min_words) for found in words], bool)
    pairs = [
        [f"{a} {b}" for a, b in pairwise(found)] if good else [] for found, good in zip(words, enough, strict=True)
    ]
    hashes = RMinHash.hash_token_sets(pairs)
    digests = np.array(RMinHash.digest_matrix_from_token_hash_sets(hashes, HASHES, _SEED).to_rows(), np.uint64)
    rows = band_rows(similarity)
    columns = {}
    for number, name in enumerate(band_names(similarity)):
        key = np.full(len(texts), number, np.uint64)
        for digest in digests.reshape(len(texts), HASHES)[:, number * rows : (number + 1) * rows].T:
            key = (key ^ digest) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(32)
        columns[name] = pa.array(key, mask=~enough)
    kept = [_smallest(found) if good else None for found, good in zip(hashes, enough, strict=True)]
    return columns | {"pairs": pa.array(kept, pa.list_(pa.uint32()))}


def _smallest(hashes: list[int]) -> NDArray[np.uint32]:
    return np.unique(np.array(hashes, np.uint64).astype(np.uint32))[:MOST_PAIRS]


class Texts:
    """Compares texts by their places; a context manager."""

    def __init__(self, signatures: Signatures, folder: Path) -> None:
        self._texts, self._seen = 0, np.zeros(_BINS, np.uint32)
        for part in signatures.parts(["pairs"]):
            pairs = part.column("pairs").combine_chunks()
            found, amounts = np.unique(pairs.flatten().to_numpy() % _BINS, return_counts=True)
            self._seen[found] += amounts.astype(np.uint32)
            self._texts += len(pairs) - pairs.null_count
        self._rare = RARE + 4 * self._seen.sum(dtype=np.int64) / _BINS  # what else lies in a bin, of many millions
        self._spool = Spool(signatures, "pairs", np.uint32, folder)

    def __enter__(self) -> Texts:
        return self

    def __exit__(self, *stop: object) -> None:
        self._spool.__exit__()

    def similarity(self, first: _Ints, second: _Ints) -> NDArray[np.float64]:
        """[n]: Jaccard similarity of the sets of word pairs, by count or by rarity, whichever is less.

        Exact up to ``MOST_PAIRS`` different ones in the two; of more than that the ones with the smallest hashes, an
        even sample of the union, are looked at. 0 where each has pairs that the other lacks, and all of these as well
        as all that they share stand in more texts than a post and its copies: an edit leaves a pair of its own.
        """
        blocks = [self._block(one, other) for one, other in _blocks(first, second)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _block(self, first: _Ints, second: _Ints) -> NDArray[np.float64]:
        amount = len(first)
        values, lengths = self._spool.ragged(np.concatenate([first, second]))
        owner = np.repeat(np.tile(np.arange(amount), 2), lengths).astype(np.uint64)
        side = np.repeat(np.arange(2, dtype=np.uint64), [lengths[:amount].sum(), lengths[amount:].sum()])
        keys = np.sort((owner << np.uint64(33)) | (values.astype(np.uint64) << np.uint64(1)) | side)
        pairs = keys >> np.uint64(1)
        starts = np.flatnonzero(np.diff(pairs, prepend=~pairs[:1]))
        once, in_both = pairs[starts], np.diff(np.append(starts, len(keys))) == 2
        owner = (once >> np.uint64(32)).astype(np.intp)
        kept = np.arange(len(once)) - np.searchsorted(owner, owner) < MOST_PAIRS
        both, seen = kept & in_both, self._seen[(once % np.uint64(_BINS)).astype(np.intp)]
        # how much a pair counts: the rarer among all texts, the more (squared, as in products of tf-idf)
        rarity = np.log1p(self._texts / np.maximum(seen, RARE)) ** 2
        found = [
            np.bincount(owner[both], weight[both], amount)
            / np.maximum(np.bincount(owner[kept], weight[kept], amount), 1e-9)
            for weight in (np.ones(len(once)), rarity)
        ]
        second_only = (keys[starts] & np.uint64(1)).astype(bool)
        own = [np.bincount(owner[kept & ~in_both & (second_only == k)], minlength=amount) > 0 for k in (False, True)]
        stock = np.bincount(owner[kept & (seen <= self._rare)], minlength=amount) == 0
        return np.where(own[0] & own[1] & stock, 0.0, np.minimum(*found))


def _blocks(first: _Ints, second: _Ints) -> Iterator[tuple[_Ints, _Ints]]:
    for start in range(0, len(first), BLOCK):
        yield first[start : start + BLOCK], second[start : start + BLOCK]
