"""Who is in a batch with whom within a step, and which process computes it, so that none waits for the longest batch.

Invariant: a step has the samples, each with the weight in its loss, of the batches as they were drawn. What is decided
follows from the samples, their costs and the numbers of forwards and processes alone: all processes decide the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

from PIL import Image
from torch.utils.data import BatchSampler

from trifacet.engine.scoring import Rows
from trifacet.training.examples import Examples

TEXTS_AT_ONCE = 1000  # that are tokenised
LARGEST_SIDE = 4096  # of a picture whose tokens are counted: families shrink larger ones anyway
SWAPS = 100  # at most, to better a division: few are found after the first ones
NEAR = 1.001  # the largest sum by the mean: less is not looked for


class BalancedSteps(BatchSampler):
    """The batches of ``batches``, step by step, regrouped, in such an order that every ``ranks``-th is one process's.

    Where the objective is a mean over samples, batches of one size exchange members within a step: batches that are one
    row become equally long; of those with a row per sample, padded to the longest, the members become alike. Whole
    batches go to the processes such that the largest sum is small. A process has its dearest batch first, so that the
    last ones, in which all meet, are alike.

    Args:
        batches: as drawn.
        costs: about what each sample costs, by index, in any unit.
        forwards: batches of a step, over all processes.
        ranks: how many processes there are.
        mixes: whether batches may exchange members.
        one_row: whether a batch is one row; else it is as wide as its longest member.
    """

    def __init__(
        self, batches: BatchSampler, costs: Sequence[int], *, forwards: int, ranks: int, mixes: bool, one_row: bool
    ) -> None:
        self.batch_sampler, self.costs, self.forwards, self.ranks = batches, costs, forwards, ranks
        self.mixes, self.one_row = mixes, one_row
        self.sampler = batches.sampler  # where accelerate looks for what it tells the epoch
        self.batch_size, self.drop_last = batches.batch_size, batches.drop_last

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[int]]:
        batches = iter(self.batch_sampler)
        while step := list(islice(batches, self.forwards)):
            yield from self.balanced(step)

    def balanced(self, step: Sequence[list[int]]) -> list[list[int]]:
        """The batches of one step; place ``number * ranks + rank`` is that of a process's batch ``number``."""
        batches = self._mixed(step) if self.mixes else step
        costs = [self.cost(batch) for batch in batches]
        rooms = [len(range(rank, len(batches), self.ranks)) for rank in range(self.ranks)]
        shares = [sorted(share, key=lambda one: (-costs[one], one)) for share in divided(costs, rooms)]
        return [batches[shares[place % self.ranks][place // self.ranks]] for place in range(len(batches))]

    def cost(self, batch: Sequence[int]) -> int:
        """About what a batch costs."""
        costs = [self.costs[index] for index in batch]
        return sum(costs) if self.one_row else max(costs) * len(costs)

    def _mixed(self, step: Sequence[list[int]]) -> list[list[int]]:
        """The step's batches after those of one size, whose members weigh the same, have exchanged members."""
        found: list[list[int]] = []
        for size in dict.fromkeys(map(len, step)):
            members = [index for batch in step if len(batch) == size for index in batch]
            costs = [self.costs[index] for index in members]
            if self.one_row:
                parts = divided(costs, [size] * (len(members) // size))
            else:
                alike = sorted(range(len(members)), key=lambda one: (-costs[one], one))
                parts = [alike[at : at + size] for at in range(0, len(alike), size)]
            found += [[members[one] for one in part] for part in parts]
        return found


def divided(costs: Sequence[int], rooms: Sequence[int]) -> list[list[int]]:
    """The numbers of ``costs`` in parts of the sizes ``rooms``, so that the largest sum is small.

    The dearest first, each to the part with the smallest sum that has room; then pairs are exchanged between the part
    with the largest sum and others while that lowers it.

    Args:
        costs: whole numbers.
        rooms: how many each part takes, together as many as there are costs.
    """
    parts: list[list[int]] = [[] for _ in rooms]
    sums = [0] * len(rooms)
    for one in sorted(range(len(costs)), key=lambda one: (-costs[one], one)):
        part = min((part for part, room in enumerate(rooms) if len(parts[part]) < room), key=sums.__getitem__)
        parts[part].append(one)
        sums[part] += costs[one]
    for _ in range(SWAPS):
        full = max(range(len(sums)), key=sums.__getitem__)
        near = sums[full] * len(sums) <= NEAR * sum(sums)
        if near or (swap := min(_swaps(costs, parts, sums, full), default=None)) is None:
            break
        _, part, mine, theirs = swap
        moved = costs[parts[full][mine]] - costs[parts[part][theirs]]
        parts[full][mine], parts[part][theirs] = parts[part][theirs], parts[full][mine]
        sums[full], sums[part] = sums[full] - moved, sums[part] + moved
    return parts


def _swaps(
    costs: Sequence[int], parts: Sequence[Sequence[int]], sums: Sequence[int], full: int
) -> Iterator[tuple[int, int, int, int]]:
    """Exchanges that lower the sum of part ``full``: the larger sum after it, the other part, a place in each."""
    for part, theirs in enumerate(parts):
        for place, one in enumerate(parts[full] if part != full else ()):
            for other_place, other in enumerate(theirs):
                moved = costs[one] - costs[other]
                if 0 < moved < sums[full] - sums[part]:
                    yield max(sums[full] - moved, sums[part] + moved), part, place, other_place


def sample_costs(examples: Examples, rows: Rows) -> list[int]:
    """About how many tokens each sample puts through the language model in one forward.

    Texts are tokenised, each by itself. An image counts by its size, and by no more than some sizes
    of each model's, so that none is decoded: a rejected one that a strategy makes counts as the chosen one. Rejected
    contexts are those drawn for the epoch that the examples are told.

    Args:
        examples: of the stage.
        rows: with ``path`` nothing is shared.
    """
    family, encoder = examples.encoder.family, examples.encoder
    numbers = range(len(examples))
    texts = [_Texts(examples.contexts(number), examples.responses(examples.samples[number])) for number in numbers]
    requests = [[sample.prompt or encoder.prompt, sample.system or ""] for sample in examples.samples]
    frame = encoder.token_ids([encoder.rendered(None, "", "a", images=0)])[0]  # the template's, and the request
    length = _lengths(
        chain.from_iterable([[encoder.prompt], *requests, *(part for one in texts for part in one)]), encoder.tokenizer
    )

    @cache
    def of_size(width: int, height: int) -> int:
        return len(family.image_tokens(family.read(Image.new("RGB", (width, height)))))

    def of_images(names: Sequence[str]) -> list[int]:
        return [of_size(*_near(*examples.size(name))) for name in names]

    costs: list[int] = []
    for number, sample in enumerate(examples.samples):
        contexts, responses = ([length[text] for text in part] for part in texts[number])
        cells = examples.cells(number)
        chosen, *beside = of_images(sample.pictures) or [0]
        given = of_images(examples.given_images(sample))
        request = sum(beside) + sum(length[text] for text in requests[number]) + len(frame) - length[encoder.prompt]
        nodes: dict[tuple[int, ...], int] = {}
        for at, cell in enumerate(cells):
            way = (at if rows == "path" else -1, *cell)
            image = given[cell.image - 1] if 0 < cell.image <= len(given) else chosen
            room = max(encoder.max_length - request - image - responses[cell.response], 0)  # for the post: it is cut
            if examples.objective.beside and cell.context:
                way, image = (*way[:1], ~cell.image, *way[2:]), chosen + (given[0] if given else chosen)
            nodes[way[:2]], nodes[way[:3]] = request + image, min(contexts[cell.context], room)
            nodes[way] = responses[cell.response]
        costs.append(sum(nodes.values()))
    return costs


class _Texts(NamedTuple):
    contexts: list[str]
    responses: list[str]


def _lengths(texts: Iterable[str], tokenizer: Any) -> dict[str, int]:
    """How many tokens each of the texts has by itself."""
    distinct = list(dict.fromkeys(texts))
    found: dict[str, int] = {}
    for at in range(0, len(distinct), TEXTS_AT_ONCE):
        some = distinct[at : at + TEXTS_AT_ONCE]
        ids = tokenizer(some, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
        found |= zip(some, map(len, ids), strict=True)
    return found


def _near(width: int, height: int) -> tuple[int, int]:
    """A size near that of an image, one of a few hundred: of a side there are two to each doubling."""
    scale = min(LARGEST_SIDE / max(width, height), 1)
    near = [round(2 ** (round(2 * math.log2(max(side * scale, 1))) / 2)) for side in (width, height)]
    return near[0], near[1]
