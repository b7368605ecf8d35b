"""The prefix trie: many token sequences that share beginnings, flattened into one row.

Invariant: a token of the row sees itself and its ancestors, at the position it has in its own path, so a model that
follows mask and position ids computes for every path exactly what it would compute for that path alone.

Paths are added one after another; a path owns the tokens after its longest common prefix with the paths before it.
So ancestors always stand to the left, and every step below is an array operation over whole paths.
Shape letters: L tokens of one path, N tokens of the row, R response tokens of the row, M reads (path, response token).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Path(NamedTuple):
    """One token sequence.

    ``images_L`` says which image of the sample a token stands for (-1: text), so that equal placeholder ids of
    different images differ. The response is what comes from ``response_start`` on. ``positions_L`` are the model's own
    position ids of this sequence.
    """

    tokens_L: Ints
    images_L: Ints
    positions_L: Ints
    response_start: int


@dataclass(frozen=True)
class Trie:
    """A flattened trie.

    ``tokens_N``, ``images_N``, ``positions_N`` describe the row; ``mask_NN[i, j]`` is true where token i may see j.
    ``parent_R`` and ``token_R``: the log-prob of response token ``token_R`` is read from the hidden state at
    ``parent_R``. ``path_M`` and ``read_M``: the log-probs ``read_M`` of the row belong to path ``path_M``.
    ``lengths_P``: response tokens per path. ``total_tokens``: what one-by-one scoring would process.
    """

    tokens_N: Ints
    images_N: Ints
    positions_N: Ints
    mask_NN: NDArray[np.bool_]
    parent_R: Ints
    token_R: Ints
    path_M: Ints
    read_M: Ints
    lengths_P: Ints
    total_tokens: int

    @property
    def image_order(self) -> Ints:
        """The images in the order in which their token runs stand in the row; one that occurs twice is named twice."""
        starts = (self.images_N >= 0) & (np.diff(self.images_N, prepend=-1) != 0)
        return self.images_N[starts]


def build_trie(paths: Sequence[Path]) -> Trie:
    """Flatten ``paths`` into one row.

    Raises:
        ValueError: no path, or a response that starts at the first token (nothing could predict it).
    """
    if not paths or any(not 0 < path.response_start <= len(path.tokens_L) for path in paths):
        raise ValueError("a trie needs paths, and a response needs at least one token before it")
    keys = [path.tokens_L + ((path.images_L + 1) << 32) for path in paths]
    nodes_PL: list[Ints] = []  # for each path, the row index of each of its tokens
    owned: list[Ints] = []
    size = 0
    for index, key_L in enumerate(keys):
        shared, other = _longest_shared_prefix(key_L, keys[:index])
        fresh = np.arange(size, size + len(key_L) - shared)
        nodes_PL.append(np.concatenate([nodes_PL[other][:shared], fresh]) if shared else fresh)
        owned.append(fresh)
        size += len(fresh)

    mask_NN = np.zeros((size, size), dtype=np.bool_)
    for nodes_L, fresh in zip(nodes_PL, owned, strict=True):
        if not len(fresh):
            continue
        prefix = nodes_L[: len(nodes_L) - len(fresh)]
        block = slice(fresh[0], fresh[-1] + 1)
        if len(prefix):
            mask_NN[block] = mask_NN[prefix[-1]]
        mask_NN[block, block] = np.tri(len(fresh), dtype=np.bool_)

    own = [slice(len(path.tokens_L) - len(fresh), None) for path, fresh in zip(paths, owned, strict=True)]
    tokens_N = np.concatenate([path.tokens_L[part] for path, part in zip(paths, own, strict=True)])
    reads = [nodes[path.response_start :] for nodes, path in zip(nodes_PL, paths, strict=True)]
    parents = [nodes[path.response_start - 1 : -1] for nodes, path in zip(nodes_PL, paths, strict=True)]
    node_R, first_R, read_M = np.unique(np.concatenate(reads), return_index=True, return_inverse=True)
    lengths_P = np.array([len(read) for read in reads], dtype=np.int64)
    return Trie(
        tokens_N=tokens_N,
        images_N=np.concatenate([path.images_L[part] for path, part in zip(paths, own, strict=True)]),
        positions_N=np.concatenate(
            [path.positions_L[..., part] for path, part in zip(paths, own, strict=True)], axis=-1
        ),
        mask_NN=mask_NN,
        parent_R=np.concatenate(parents)[first_R],
        token_R=tokens_N[node_R],
        path_M=np.repeat(np.arange(len(paths)), lengths_P),
        read_M=read_M,
        lengths_P=lengths_P,
        total_tokens=sum(len(path.tokens_L) for path in paths),
    )


def _longest_shared_prefix(key_L: Ints, earlier: Sequence[Ints]) -> tuple[int, int]:
    """Length of the longest common prefix of ``key_L`` with any earlier sequence, and which one that is."""
    best, where = 0, 0
    for index, other in enumerate(earlier):
        length = min(len(key_L), len(other))
        different = key_L[:length] != other[:length]
        shared = int(different.argmax()) if different.any() else length
        if shared > best:
            best, where = shared, index
    return best, where
