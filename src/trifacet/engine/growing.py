"""Tries that grow: prompts are computed once, and every text that continues one adds its own tokens alone.

A row holds the prompts that show the same pictures, as the trie that ``trie.py`` makes of them, and behind them the
tokens of all texts that are being written for them, in whatever order they come. A text is a ``Leaf``: the places of
its row that it sees. So samples of a prompt share its keys and values, and beams share those of their common past
without a copy.

Invariants: a leaf's logits are those of the plain model run over its prompt and text alone (1e-4 in float32), whatever
grows beside it; each distinct picture of a row goes through the vision encoder once.
Shape letters: R rows, B rows of a forward, S leaves, Q queries of a row in one forward, C places of a row,
V vocabulary, A axes of positions.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import Cache, CacheLayerMixin

from trifacet.engine.attention import visible
from trifacet.engine.family import Family, ImageInput
from trifacet.engine.scoring import Encoded, laid_out, numbered
from trifacet.engine.trie import Path, Trie, build_trie

ROOM = 64  # places by which rows are made longer at a time


class Prompt(NamedTuple):
    """What a text continues: a path without a response, and the images that it numbers."""

    path: Path
    images: tuple[ImageInput, ...]


@dataclass(frozen=True, eq=False)
class Leaf:
    """Where a text stands: its row, which places of the row it sees (the last one is its own), its next position."""

    row: int
    seen_C: NDArray[np.bool_]
    position_A: NDArray[np.int64]


class _Layer(CacheLayerMixin):
    """Keys and values of one layer, (R, heads, C, width); where new ones go is said in ``writing``."""

    def __init__(self, writing: _Writing) -> None:
        super().__init__()
        self.writing = writing

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        def empty(states: Tensor) -> Tensor:
            heads, width = states.shape[1], states.shape[-1]
            return states.new_zeros(self.writing.rows, heads, self.writing.capacity, width)

        self.keys, self.values = empty(key_states), empty(value_states)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        writing, kept = self.writing, []
        for name, new in (("keys", key_states), ("values", value_states)):
            store = getattr(self, name)
            if store.shape[2] < writing.capacity:
                longer = store.new_zeros(*store.shape[:2], writing.capacity, store.shape[3])
                longer[:, :, : store.shape[2]] = store
                setattr(self, name, longer)
                store = longer
            store[writing.row_B1, :, writing.place_BQ] = new.transpose(1, 2)
            kept.append(store[:, :, : writing.seen])
        return (key_states, value_states) if writing.planting else (kept[0], kept[1])

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return (query_length if self.writing.planting else self.writing.seen), 0

    def get_seq_length(self) -> int:
        return 0 if self.writing.planting else self.writing.seen

    def get_max_length(self) -> int:
        return -1


@dataclass
class _Writing:
    """What the layers must know of a forward: the rows and places of its tokens, and how many places are seen.

    ``planting``: the tokens are whole prompts, which see each other alone.
    """

    rows: int
    capacity: int = 0
    seen: int = 0
    planting: bool = False
    row_B1: Tensor | None = None
    place_BQ: Tensor | None = None


class Pictures:
    """What the language model is given of pictures, of the last ones kept: for one model under one adapter.

    Args:
        most_bytes: of what is kept; 0 keeps nothing.

    Attributes:
        encoded: how often each picture (``ImageInput.key``) went through the vision encoder.
    """

    def __init__(self, most_bytes: int = 0) -> None:
        self.encoded: Counter[str] = Counter()
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[str, Tensor] = OrderedDict()  # the last used ones at the end

    def features(self, model: nn.Module, family: Family, images: Sequence[ImageInput]) -> list[Any]:
        """The features of distinct images, in their order; those that are not kept are encoded together."""
        found = {image.key: self._kept[image.key] for image in images if image.key in self._kept}
        if new := [image for image in images if image.key not in found]:
            device = next(model.parameters()).device
            collated = {name: value.to(device) for name, value in family.collate(new).items()}
            encoded = family.features(model, **collated)
            self.encoded.update(image.key for image in new)
            found.update((image.key, features) for image, features in zip(new, encoded, strict=True))
        for key, features in found.items():
            self._keep(key, features)
        return [found[image.key] for image in images]

    def _keep(self, key: str, features: Tensor) -> None:
        if key in self._kept:
            self._kept.move_to_end(key)
        elif features.nbytes <= self._most:
            self._kept[key] = features.clone()  # a view would hold those that were encoded with it
            self._bytes += features.nbytes
        while self._bytes > self._most:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


class Grove:
    """``rows`` rows in which texts grow; the caller keeps the model in inference (no gradients, not training).

    Args:
        model: a transformers model, or PEFT's wrapper of one, under the adapter that is to write.
        family: its family.
        rows: how many sets of pictures may be under way at once.
        pictures: what is known of pictures, and counts them (None: nothing is kept).
    """

    def __init__(self, model: nn.Module, family: Family, rows: int, pictures: Pictures | None = None) -> None:
        self.model, self.family, self.rows = model, family, rows
        self.device = next(model.parameters()).device
        self.pictures = pictures or Pictures()
        self._writing = _Writing(rows)
        self._cache = Cache(layer_class_to_replicate=partial(_Layer, self._writing))
        self._used = [0] * rows  # places of each row
        self._axes = False  # whether positions have several
        self._position_RC = torch.zeros(rows, 0, dtype=torch.long, device=self.device)  # on the first axis

    def plant(self, planted: Sequence[tuple[int, Sequence[Prompt]]]) -> list[list[tuple[Leaf, Tensor]]]:
        """Compute prompts in rows, which are empty from then on but for them.

        Args:
            planted: (row, its prompts, which show the same images in one order).

        Returns:
            for each row and prompt its leaf and the logits (V,) of what comes after it.
        """
        paths, images = numbered(
            [Encoded(tuple(prompt.path for prompt in prompts), prompts[0].images) for _, prompts in planted]
        )
        tries = [build_trie(of_row) for of_row in paths]
        tokens_I = np.array([len(self.family.image_tokens(image)) for image in images], dtype=np.int64)
        laid = laid_out(tries, 0, tokens_I)
        names = ("input_ids", "images_BN", "ends_BN", "position_ids")
        ids_BN, images_BN, ends_BN, position_ids = (laid[name].to(self.device) for name in names)
        self._axes = position_ids.ndim == 3
        first_BN = position_ids[0] if self._axes else position_ids
        features = self.pictures.features(self.model, self.family, images)
        rows = torch.tensor([row for row, _ in planted], device=self.device)
        width = ids_BN.shape[1]
        self._reach(width)
        self._position_RC[rows, :width] = first_BN
        self._place(rows[:, None], torch.arange(width, device=self.device).expand_as(ids_BN), width, planting=True)
        mask = self.family.dense_masks(visible(ends_BN), images_BN, position_ids)
        hidden_BNd = self.family.hidden(
            self.model,
            ids_BN,
            self._near(mask, first_BN, first_BN),
            position_ids,
            [features[number] for number in laid["image_order"].tolist()],
            cache=self._cache,
        )
        leaves, at = [], []
        for number, ((row, _), trie) in enumerate(zip(planted, tries, strict=True)):
            self._used[row] = len(trie.tokens_N)
            leaves.append([_leaf(row, trie, int(place)) for place in trie.leaf_P])
            at += [(number, int(place)) for place in trie.leaf_P]
        at_P2 = torch.tensor(at, device=self.device)
        logits_PV = iter(self.family.logits(self.model, hidden_BNd[at_P2[:, 0], at_P2[:, 1]]).float())
        return [[(leaf, next(logits_PV)) for leaf in row] for row in leaves]

    def grow(self, leaves: Sequence[Leaf], tokens: Sequence[int]) -> tuple[list[Leaf], Tensor]:
        """Each leaf with one more token, and the logits (S, V) of what comes after it.

        Two leaves may come from one: both see what it saw, and neither sees the other's token.
        """
        of_row: list[list[int]] = [[] for _ in range(self.rows)]
        for number, leaf in enumerate(leaves):
            of_row[leaf.row].append(number)
        busy = [row for row in range(self.rows) if of_row[row]]
        queries = max(len(of_row[row]) for row in busy)
        length = max(self._used[row] + len(of_row[row]) for row in busy)
        # every row of the store is in the forward, so that none is copied: an idle query sees the row's first place
        self._reach(length + 1)
        ids_RQ = np.zeros((self.rows, queries), dtype=np.int64)
        place_RQ = np.full((self.rows, queries), length)
        position_ARQ = np.zeros((len(leaves[0].position_A), self.rows, queries), dtype=np.int64)
        seen_RQC = np.zeros((self.rows, queries, length + 1), dtype=bool)
        seen_RQC[:, :, 0] = True
        grown: list[Leaf] = list(leaves)
        at = np.zeros((len(leaves), 2), dtype=np.int64)
        for row in busy:
            for query, number in enumerate(of_row[row]):
                leaf, place = leaves[number], self._used[row] + query
                seen_C = np.zeros(place + 1, dtype=bool)
                seen_C[: len(leaf.seen_C)] = leaf.seen_C
                seen_C[place] = True
                ids_RQ[row, query], place_RQ[row, query] = tokens[number], place
                position_ARQ[:, row, query] = leaf.position_A
                seen_RQC[row, query, : place + 1] = seen_C
                at[number] = row, query
                grown[number] = Leaf(row, seen_C, leaf.position_A + 1)
            self._used[row] += len(of_row[row])
        rows = torch.arange(self.rows, device=self.device)[:, None]
        places, positions = (torch.from_numpy(one).to(self.device) for one in (place_RQ, position_ARQ))
        self._position_RC[rows, places] = positions[0]
        self._place(rows, places, length + 1, planting=False)
        seen, key_RC = torch.from_numpy(seen_RQC).to(self.device), self._position_RC[:, : length + 1]
        mask = self._near(self.family.grown_masks(seen, key_RC, positions[0]), key_RC, positions[0])
        hidden_RQd = self.family.hidden(
            self.model,
            torch.from_numpy(ids_RQ).to(self.device),
            mask,
            positions if self._axes else positions[0],
            [],
            cache=self._cache,
        )
        at_S2 = torch.from_numpy(at).to(self.device)
        return grown, self.family.logits(self.model, hidden_RQd[at_S2[:, 0], at_S2[:, 1]]).float()

    def widen(self, more: int) -> None:
        """So many empty rows more, numbered after those that are there."""
        self.rows = self._writing.rows = self.rows + more
        self._used += [0] * more
        for layer in self._cache.layers:
            layer.keys, layer.values = (
                torch.cat([store, store.new_zeros(more, *store.shape[1:])]) for store in (layer.keys, layer.values)
            )
        self._position_RC = torch.nn.functional.pad(self._position_RC, (0, 0, 0, more))

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, which are numbered anew in this order."""
        kept = torch.tensor(rows, device=self.device)
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[kept], layer.values[kept]
        self._position_RC = self._position_RC[kept]
        self._used = [self._used[row] for row in rows]
        self.rows = self._writing.rows = len(rows)

    def _near(self, mask: Any, key_RC: Tensor, query_RQ: Tensor) -> Any:
        """The mask less what is beyond the window of a model whose attention slides."""
        if self.family.window is None:
            return mask
        return mask & (key_RC[:, None, None, :] > query_RQ[:, None, :, None] - self.family.window)

    def _reach(self, length: int) -> None:
        """Make room for so many places in every row."""
        have = self._position_RC.shape[1]
        if length > have:
            capacity = -(-length // ROOM) * ROOM
            self._position_RC = torch.nn.functional.pad(self._position_RC, (0, capacity - have))
            self._writing.capacity = capacity

    def _place(self, rows: Tensor, places: Tensor, seen: int, *, planting: bool) -> None:
        writing = self._writing
        writing.row_B1, writing.place_BQ, writing.seen, writing.planting = rows, places, seen, planting


def _leaf(row: int, trie: Trie, place: int) -> Leaf:
    return Leaf(row, trie.ends_N[: place + 1] > place, np.atleast_1d(trie.positions_N[..., place]) + 1)
