"""The prefix trie: many token sequences that share beginnings, flattened into one row.

Invariant: a token of the row sees itself and its ancestors, at the position it has in its own path, so a model that
follows mask and position ids computes for every path exactly what it would compute for that path alone.

The row is in depth-first order: paths are sorted, and each adds the tokens after its common prefix with the one before.
So what descends from a token is one run right behind it, and a single number per token, where that run ends, is the
whole mask: token i sees token j if and only if j <= i < ends[j].
Shape letters: L tokens of one path, N tokens of the row, P paths, R response tokens of the row, M reads (path, token).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Path(NamedTuple):
    """One token sequence.

    ``images_L`` says which image a token stands for (-1: text), so that equal placeholder ids of different images
    differ. The response is what comes from ``response_start`` on; ``weights``, one for each of its tokens, say how much
    each counts in the path's log-prob (None: 1). ``positions_L`` are the model's own position ids of this sequence,
    (L,) or (axes, L).
    """

    tokens_L: Ints
    images_L: Ints
    positions_L: Ints
    response_start: int
    weights: Floats | None = None


@dataclass(frozen=True)
class Trie:
    """A flattened trie.

    ``tokens_N``, ``images_N``, ``positions_N`` describe the row; ``ends_N`` is where each token's descendants end.
    ``parent_R`` and ``token_R``: the log-prob of response token ``token_R`` is read from the hidden state at
    ``parent_R``. ``path_M`` and ``read_M``: the log-probs ``read_M`` of the row belong to path ``path_M``, and count
    there as ``weight_M`` says (None: once).
    ``lengths_P``: response tokens per path; ``leaf_P``: the place of each path's last token.
    ``total_tokens``: what one-by-one scoring would process.
    """

    tokens_N: Ints
    images_N: Ints
    positions_N: Ints
    ends_N: Ints
    parent_R: Ints
    token_R: Ints
    path_M: Ints
    read_M: Ints
    lengths_P: Ints
    leaf_P: Ints
    total_tokens: int
    weight_M: Floats | None = None

    def image_order(self, tokens_I: Ints) -> Ints:
        """The images in the order in which their token runs stand in the row; one that occurs twice is named twice.

        ``tokens_I`` are the tokens that each image takes: a picture shown twice in a row is one run of twice as many.
        """
        starts = np.flatnonzero(np.diff(self.images_N, prepend=-2))
        lengths = np.diff(starts, append=len(self.images_N))
        images = self.images_N[starts]
        of_image = images >= 0
        return np.repeat(images[of_image], lengths[of_image] // tokens_I[images[of_image]])


def build_trie(paths: Sequence[Path]) -> Trie:
    """Flatten ``paths`` into one row.

    Raises:
        ValueError: no path, a response that starts at the first token (nothing could predict it), or weights of
            another number than its tokens, or of some paths only.
    """
    if not paths or any(not 0 < path.response_start <= len(path.tokens_L) for path in paths):
        raise ValueError("a trie needs paths, and a response needs at least one token before it")
    keys = [(path.tokens_L + ((path.images_L + 1) << 32)).astype(">i8") for path in paths]
    order = sorted(range(len(paths)), key=lambda index: keys[index].tobytes())

    nodes_PL: list[Ints] = [np.empty(0, dtype=np.int64)] * len(paths)  # per path, the row index of each of its tokens
    shared_P: list[int] = [0] * len(paths)
    ends_N = np.empty(sum(len(key) for key in keys), dtype=np.int64)
    size, before = 0, order[0]
    for index in order:
        shared = _common_prefix(keys[before], keys[index]) if size else 0
        ends_N[nodes_PL[before][shared:]] = size
        fresh = np.arange(size, size + len(keys[index]) - shared)
        nodes_PL[index] = np.concatenate([nodes_PL[before][:shared], fresh])
        shared_P[index] = shared
        size, before = size + len(fresh), index
    ends_N[nodes_PL[before]] = size

    def row(parts: Sequence[Ints]) -> Ints:
        return np.concatenate([parts[index][..., shared_P[index] :] for index in order], axis=-1)

    tokens_N = row([path.tokens_L for path in paths])
    reads = [nodes[path.response_start :] for nodes, path in zip(nodes_PL, paths, strict=True)]
    parents = [nodes[path.response_start - 1 : -1] for nodes, path in zip(nodes_PL, paths, strict=True)]
    weights = [path.weights for path in paths if path.weights is not None]
    if weights and [len(one) for one in weights] != [len(read) for read in reads]:
        raise ValueError("each path of a trie has a weight for every token of its response, or none has")
    node_R, first_R, read_M = np.unique(np.concatenate(reads), return_index=True, return_inverse=True)
    lengths_P = np.array([len(read) for read in reads], dtype=np.int64)
    return Trie(
        tokens_N=tokens_N,
        images_N=row([path.images_L for path in paths]),
        positions_N=row([path.positions_L for path in paths]),
        ends_N=ends_N[:size],
        parent_R=np.concatenate(parents)[first_R],
        token_R=tokens_N[node_R],
        path_M=np.repeat(np.arange(len(paths)), lengths_P),
        read_M=read_M,
        lengths_P=lengths_P,
        leaf_P=np.array([nodes[-1] for nodes in nodes_PL], dtype=np.int64),
        total_tokens=sum(len(path.tokens_L) for path in paths),
        weight_M=np.concatenate(weights) if weights else None,
    )


def _common_prefix(one_L: Ints, other_L: Ints) -> int:
    length = min(len(one_L), len(other_L))
    different = one_L[:length] != other_L[:length]
    return int(different.argmax()) if different.any() else length
