"""Log-probs of all cells of a batch in one forward.

Invariant: the scores are those of the plain model run path by path (1e-4 in float32 on summed log-probs), whatever the
tries share. Each distinct image goes through the vision encoder once; the head runs on response tokens only.
Shape letters: B rows, N tokens of the longest row, R response tokens, M reads, C cells of the batch, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trifacet.base.tensors import OfTensors
from trifacet.engine.attention import FLEX, SEGMENTS, flex_block_mask, visible
from trifacet.engine.family import Family, ImageInput, core
from trifacet.engine.forwards import feed_forward, keeping_products, left_out, made_again
from trifacet.engine.kept_features import KeptFeatures, Shown
from trifacet.engine.trie import Path, Trie, build_trie

Rows = Literal["batch", "sample", "path"]
Attention = Literal["auto", "segments", "dense", "flex"]
TOKENS_AT_ONCE = 1024  # of a batch with a row per path: more are computed in parts, and again going backwards
LOGITS_AT_ONCE = 2**27  # values: beyond this the head runs in chunks that are computed again in the backward pass
WIDE_AT_ONCE = 2**24  # values inside feed-forward networks: where a batch has no more, all of them are kept


@dataclass(frozen=True)
class Encoded:
    """A sample ready to be batched: one path per cell, and the distinct images that ``Path.images_L`` numbers.

    ``passing``: the numbers of images that come this once, since they are drawn anew in each epoch.
    """

    paths: tuple[Path, ...]
    images: tuple[ImageInput, ...]
    passing: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Batch(OfTensors):
    """What the model sees of a batch: one trie per row, and where in them the responses of its cells stand.

    A read is a place whose next token belongs to a response; reads that cells share are computed once.
    """

    input_ids: Tensor  # (B, N)
    position_ids: Tensor  # (B, N), or with M-RoPE (axes, B, N)
    images_BN: Tensor  # number of the image that a token stands for; -1: text
    ends_BN: Tensor  # where the part of the row ends that sees a token
    image_order: Tensor  # numbers of the images in the order in which the rows show them
    image_row: Tensor  # the row of each of these
    parent_R: Tensor  # flat place of the token before a response token
    token_R: Tensor  # id of the response token
    read_M: Tensor  # for every cell's response tokens: their place in R ...
    cell_M: Tensor  # ... and the cell
    lengths_C: Tensor  # response tokens of each cell
    images: dict[str, Tensor]  # as the family's vision encoder takes them; empty without images
    shown: tuple[Shown, ...]  # the same images, by key
    one_by_one: bool  # a row per path
    plain_BN: Tensor | None = None  # which tokens are no padding, where the model makes its own masks
    weight_M: Tensor | None = None  # how much each of a cell's response tokens counts; None: once

    @property
    def mass_C(self) -> Tensor:  # noqa: N802 - a tensor's name
        """What each cell's score is divided by to be one per token: response tokens, or the sum of their weights."""
        if self.weight_M is None:
            return self.lengths_C
        return self.weight_M.new_zeros(len(self.lengths_C)).index_add(0, self.cell_M, self.weight_M)


def collate(samples: Sequence[Encoded], family: Family, pad_id: int, rows: Rows = "batch") -> Batch:
    """The tries of a batch as ``TrieScorer`` takes them.

    Args:
        samples: the samples; cells are numbered sample after sample, path after path.
        family: of the model that will score them.
        pad_id: token id of the padding at the right.
        rows: one trie over the whole ``batch``, so that samples share what they have in common (no padding then), one
            row per ``sample``, or one per ``path``; with a path longer than the model's attention window always that.
    """
    paths, images = numbered(samples)
    every = [path for sample_paths in paths for path in sample_paths]
    beyond_window = family.window is not None and max(len(path.tokens_L) for path in every) > family.window
    if beyond_window:
        rows = "path"
    grouped = {"batch": [every], "sample": paths, "path": [[path] for path in every]}[rows]
    tokens_I = np.array([len(family.image_tokens(image)) for image in images], dtype=np.int64)
    tensors = laid_out([build_trie(group) for group in grouped], pad_id, tokens_I)
    plain_BN = tensors["ends_BN"] == tensors["ends_BN"][:, :1] if beyond_window else None  # all but the padding
    passing = {sample.images[number].key for sample in samples for number in sample.passing}
    shown = tuple(Shown(one.key, len(one.pixel_values), one.key not in passing) for one in images)
    return Batch(**tensors, images=family.collate(images), shown=shown, one_by_one=rows == "path", plain_BN=plain_BN)


def numbered(samples: Sequence[Encoded]) -> tuple[list[list[Path]], list[ImageInput]]:
    """Each sample's paths with images numbered over all samples, and the distinct images."""
    numbers: dict[str, int] = {}
    images: list[ImageInput] = []
    paths: list[list[Path]] = []
    for sample in samples:
        for image in sample.images:
            if image.key not in numbers:
                numbers[image.key] = len(images)
                images.append(image)
        number = np.array([*(numbers[image.key] for image in sample.images), -1])  # text, -1, stays -1
        paths.append([path._replace(images_L=number[path.images_L]) for path in sample.paths])
    return paths, images


def laid_out(tries: Sequence[Trie], pad_id: int, tokens_I: np.ndarray) -> dict[str, Any]:
    """The tensors of ``Batch``, one row per trie.

    They are padded at the right; padding is a run of its own that sees and is seen by itself.
    """
    width = max(len(trie.tokens_N) for trie in tries)
    ids_BN = np.full((len(tries), width), pad_id)
    images_BN = np.full((len(tries), width), -1)
    ends_BN = np.full((len(tries), width), width)
    positions = np.zeros((*tries[0].positions_N.shape[:-1], len(tries), width), dtype=np.int64)
    for row, trie in enumerate(tries):
        size = len(trie.tokens_N)
        ids_BN[row, :size] = trie.tokens_N
        images_BN[row, :size] = trie.images_N
        ends_BN[row, :size] = trie.ends_N
        positions[..., row, :size] = trie.positions_N
    orders = [trie.image_order(tokens_I) for trie in tries]
    cells = np.cumsum([0] + [len(trie.lengths_P) for trie in tries])
    reads = np.cumsum([0] + [len(trie.token_R) for trie in tries])

    def joined(parts: Sequence[np.ndarray], offsets: np.ndarray | None = None) -> Tensor:
        moved = parts if offsets is None else [part + offset for part, offset in zip(parts, offsets, strict=False)]
        return torch.from_numpy(np.concatenate(moved))

    weights = [trie.weight_M for trie in tries if trie.weight_M is not None]
    assert len(weights) in (0, len(tries)), "all samples of a batch are weighed, or none is"
    return {
        "input_ids": torch.from_numpy(ids_BN),
        "position_ids": torch.from_numpy(positions),
        "images_BN": torch.from_numpy(images_BN),
        "ends_BN": torch.from_numpy(ends_BN),
        "image_order": joined(orders),
        "image_row": torch.from_numpy(np.repeat(np.arange(len(tries)), [len(order) for order in orders])),
        "parent_R": joined([trie.parent_R for trie in tries], np.arange(len(tries)) * width),
        "token_R": joined([trie.token_R for trie in tries]),
        "read_M": joined([trie.read_M for trie in tries], reads),
        "cell_M": joined([trie.path_M for trie in tries], cells),
        "lengths_C": joined([trie.lengths_P for trie in tries]),
        "weight_M": joined(weights) if weights else None,
    }


def _parts(batch: Batch) -> Iterator[Batch]:
    """The batch whole, or in runs of rows of at most ``TOKENS_AT_ONCE`` tokens where it has a row per path."""
    rows, width = batch.input_ids.shape
    step = max(TOKENS_AT_ONCE // width, 1)
    if rows <= step or not batch.one_by_one:
        yield batch
        return
    for start in range(0, rows, step):
        here = slice(start, min(start + step, rows))
        read_R = (batch.parent_R >= start * width) & (batch.parent_R < here.stop * width)
        yield replace(
            batch,
            input_ids=batch.input_ids[here],
            position_ids=batch.position_ids[..., here, :],
            images_BN=batch.images_BN[here],
            ends_BN=batch.ends_BN[here],
            plain_BN=None if batch.plain_BN is None else batch.plain_BN[here],
            image_order=batch.image_order[(batch.image_row >= start) & (batch.image_row < here.stop)],
            parent_R=batch.parent_R[read_R] - start * width,
            token_R=batch.token_R[read_R],
        )


class TokenLogps(torch.autograd.Function):
    """Log-probs (R,) of tokens (R,) under logits (R, V), float32; the backward pass works in place on what is saved."""

    @staticmethod
    def forward(ctx: Any, logits_RV: Tensor, token_R: Tensor) -> Tensor:
        logps_RV = logits_RV.log_softmax(-1)
        ctx.save_for_backward(logps_RV, token_R)
        return logps_RV.gather(-1, token_R[:, None]).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        logps_RV, token_R = ctx.saved_tensors
        gradient_R1 = gradients[0][:, None]
        gradient_RV = logps_RV.exp_().mul_(-gradient_R1)
        return gradient_RV.scatter_add_(-1, token_R[:, None], gradient_R1), None


def logps_and_entropies(logits_RV: Tensor, token_R: Tensor) -> Tensor:
    """Log-probs of tokens (R,) under logits (R, V), and the entropies (nats) of what was expected there: (R, 2)."""
    logps_RV = logits_RV.log_softmax(-1)
    logp_R = logps_RV.gather(-1, token_R[:, None]).squeeze(-1)
    return torch.stack([logp_R, torch.special.entr(logps_RV.exp_()).sum(-1)], dim=-1)  # 0 log 0 is 0


class TrieScorer(nn.Module):
    """Wraps a model so that its forward takes a batch of tries and gives summed log-probs per cell.

    A module, so that the training loop, DDP and FSDP treat it as the model.

    Args:
        model: a transformers model, or PEFT's wrapper of one.
        family: its family.
        mixed_precision: compute in bfloat16 whatever the weights are.
        attention: ``segments`` leaves out blocks of tokens that cannot see each other (CPU), ``flex`` does so by
            FlexAttention (on a CPU without gradients alone), ``dense`` masks; ``auto`` is segments on the CPU and dense
            elsewhere.
        kept: what the vision encoder, which is frozen, made of images before (None: it runs for every batch).
    """

    def __init__(
        self,
        model: nn.Module,
        family: Family,
        *,
        mixed_precision: bool = False,
        attention: Attention = "auto",
        kept: KeptFeatures | None = None,
    ) -> None:
        super().__init__()
        assert attention in get_args(Attention), attention
        self.model = model
        self.family = family
        self.mixed_precision = mixed_precision  # here and not in the loop, so that the reference computes alike
        if attention == "auto":
            attention = "segments" if next(model.parameters()).device.type == "cpu" else "dense"
        self.kept = kept
        self.made_again: list[nn.Module] = []  # layers whose inside is made again going backwards
        self._networks = feed_forward(core(model))
        self._width = sum(max(side for weight in one.parameters() for side in weight.shape) for one in self._networks)
        self._by_whole_layers = False  # transformers makes them all again; of this forward
        self._blank_images: dict[str, Tensor] | None = None
        self._read: Callable[[Tensor, Tensor], Tensor] = TokenLogps.apply  # what is wanted of logits and tokens
        self.attention: Attention = "dense" if family.needs_dense_mask else attention
        names = {"segments": SEGMENTS, "flex": FLEX, "dense": "sdpa"}
        core(model).set_attn_implementation({"text_config": names[self.attention]})

    def _precision(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(device.type, torch.bfloat16) if self.mixed_precision else contextlib.nullcontext()

    @contextlib.contextmanager
    def _light(self, tokens: int) -> Iterator[None]:
        """Where something is kept for the backward pass, and not by whole layers alone."""
        if not torch.is_grad_enabled() or self._by_whole_layers:
            yield
            return
        again = {inner for layer in self.made_again for inner in layer.modules()}
        many = tokens * self._width > WIDE_AT_ONCE  # to make few values again takes longer than they are worth
        networks = [network for network in self._networks if many and network not in again]
        with keeping_products(networks), made_again(self.made_again):
            yield

    @property
    def can_be_made_again(self) -> list[nn.Module]:
        """Layers whose inside need not be kept: of the language model all but the last, whose work is done in part."""
        return self.family.layers(self.model)[:-1]

    def _mask(self, batch: Batch) -> Any:
        if batch.plain_BN is not None:
            return batch.plain_BN  # one sequence per row: the model makes its own masks
        ends_BN = batch.ends_BN
        if self.attention == "segments":
            return ends_BN[:, None, None, :]
        if self.attention == "flex":
            return flex_block_mask(ends_BN)
        return self.family.dense_masks(visible(ends_BN), batch.images_BN, batch.position_ids)

    def forward(self, batch: Batch) -> Tensor:
        """Summed log-probs (nats, float32) of each cell's response, shape (C,), in the order of the batch's paths.

        Where the batch has weights each token's log-prob counts as its weight in that cell says.
        """
        self._by_whole_layers = core(self.model).is_activation_checkpointing  # which looks at every module
        with self._precision(batch.input_ids.device):
            images = batch.images or (self._blank(batch.input_ids.device) if self._encoder_always() else {})
            with left_out(self.family.unread(self.model)), self._light(batch.input_ids.numel()):
                features = self._features(images, batch.shown) if images else []
            logps_R = torch.cat([self._computed(part, features, part is batch) for part in _parts(batch)])
        logps_C = logps_R.new_zeros(len(batch.lengths_C), *logps_R.shape[1:])
        read_M = logps_R[batch.read_M]
        if (weight_M := batch.weight_M) is not None:  # of log-probs: entropies are those of all tokens alike
            read_M = read_M * (weight_M if read_M.ndim == 1 else torch.stack([weight_M, torch.ones_like(weight_M)], -1))
        logps_C = logps_C.index_add(0, batch.cell_M, read_M)
        if features and not batch.images:  # of the blank: in the graph, and of no weight
            logps_C = logps_C + 0 * torch.stack([feature.float().sum() for feature in features]).sum()
        return logps_C

    def _features(self, images: dict[str, Tensor], shown: Sequence[Shown]) -> list[Any]:
        """What the language model is given of a batch's images, or of the blank."""
        if self.kept is None or not shown:
            return self.family.features(self.model, **images)
        return self.kept.features(self.model, self.family, images, shown)

    @torch.no_grad()
    def with_entropies(self, batch: Batch) -> Tensor:
        """The scores of ``forward`` and, of each cell's response, the mean entropy of its tokens in nats: (2, C).

        The entropy of a token is that of the model's distribution where the token stands, whichever token it is.
        """
        self._read = logps_and_entropies
        try:
            logps_C, entropies_C = self(batch).unbind(-1)
        finally:
            self._read = TokenLogps.apply
        return torch.stack([logps_C, entropies_C / batch.lengths_C])

    def _computed(self, part: Batch, features: list[Any], whole: bool) -> Tensor:
        """Log-probs of the response tokens of some rows; rows that are not all are computed again going backwards."""
        if whole or not torch.is_grad_enabled():
            return self._logps_of_rows(part, features, whole)
        return checkpoint(self._logps_of_rows, part, features, whole, use_reentrant=False)

    def _logps_of_rows(self, part: Batch, features: list[Any], whole: bool) -> Tensor:
        light = self._light(part.input_ids.numel()) if whole else contextlib.nullcontext()
        with light, self._last_layer_on(part.parent_R.unique(), part.input_ids.shape):
            hidden_BNd = self.family.hidden(
                self.model,
                part.input_ids,
                self._mask(part),
                part.position_ids,
                [features[index] for index in part.image_order.tolist()],
            )
        return self._logps(hidden_BNd.flatten(0, 1)[part.parent_R], part.token_R)

    @contextlib.contextmanager
    def _last_layer_on(self, read_T: Tensor, rows: torch.Size) -> Iterator[None]:
        """Let what the last layer does token by token be done for the tokens that are read, and be 0 for the others.

        After that layer no token looks at another, so nobody misses it. Not while layers are computed again in the
        backward pass: they would be computed whole then.
        """
        if self._by_whole_layers:
            yield
            return

        def take(module: nn.Module, arguments: Any) -> Any:
            return arguments[0].flatten(0, 1)[read_T][None], *arguments[1:]

        def put(module: nn.Module, arguments: Any, out_1Te: Tensor) -> Tensor:
            whole = out_1Te.new_zeros(rows.numel(), out_1Te.shape[-1])
            return whole.index_copy(0, read_T, out_1Te[0]).unflatten(0, rows)

        handles = []
        for module in self.family.token_wise(self.model):
            handles += [module.register_forward_pre_hook(take), module.register_forward_hook(put)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _encoder_always(self) -> bool:
        """Whether the vision encoder runs even in a batch without images.

        So it must where it trains (DDP waits for the gradients of all processes, and an optimizer treats a gradient of
        zero and none differently) and where processes may hold shards of it (they gather in its forward).
        """
        world = torch.distributed
        several = world.is_available() and world.is_initialized() and world.get_world_size() > 1
        return several or self._encoder_trains()

    def _encoder_trains(self) -> bool:
        parts = self.family.parts(self.model)
        seen = (weight for name in ("vision", "projector") for weight in parts[name].parameters())
        return torch.is_grad_enabled() and any(weight.requires_grad for weight in seen)

    def _blank(self, device: torch.device) -> dict[str, Tensor]:
        """A small grey picture for the encoder, as ``features`` takes it."""
        if self._blank_images is None:
            self._blank_images = self.family.collate([self.family.read(Image.new("RGB", (32, 32), "grey"))])
        return {name: value.to(device) for name, value in self._blank_images.items()}

    def _logps(self, hidden_Rd: Tensor, token_R: Tensor) -> Tensor:
        """Log-probs of single tokens; logits of many tokens over a large vocabulary never exist all at once."""

        def logps(hidden_Rd: Tensor, token_R: Tensor) -> Tensor:
            return self._read(self.family.logits(self.model, hidden_Rd).float(), token_R)

        vocabulary = core(self.model).config.get_text_config().vocab_size
        chunk = max(LOGITS_AT_ONCE // vocabulary, 1)
        if len(token_R) <= chunk:
            return logps(hidden_Rd, token_R)
        pieces = zip(hidden_Rd.split(chunk), token_R.split(chunk), strict=True)
        return torch.cat([checkpoint(logps, *piece, use_reentrant=False) for piece in pieces])
