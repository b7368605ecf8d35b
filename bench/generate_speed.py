"""How long texts take: Trifacet's writer, which computes a picture and its prompt once, beside transformers' generate.

    python bench/generate_speed.py                    # the demo's size, two minutes on two cores
    python bench/generate_speed.py --shape small      # 576 image tokens, vocabulary 32,064; half an hour
    python bench/generate_speed.py --shape small --tasks samples
    python bench/generate_speed.py --tasks roles      # two adapters on one base, three steps each

Tasks
    samples    one picture, eight drawn texts
    pictures   so many pictures (``--pictures``), a greedy text each
    both       so many pictures, eight drawn texts each
    beams      so many pictures, by three beams
    roles      so many pictures, three questions of each in turn, under two adapters: on one base, or loaded for each

Contestants, on one random model in one process: they take turns, another one begins each round, and a ratio compares
turns of the same round. Of ``roles``: ours is one base on which adapters are switched (models/sharing.py) and pictures
are kept for each; the other loads the checkpoint for each step and role.
    ours       engine/continuing.py, eight pictures at a time
    batches    transformers' generate on eight pictures at a time; of several texts ``num_return_sequences``
    one text   transformers' generate, once for each text

All draw with the same numbers, and the run ends without a table unless all wrote the same texts. Columns: seconds, the
ratio of ours to the others', pictures that went through the vision encoder, and with ``--memory`` the peak of a process
that does this alone, less what it had before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from contest.clock import synchronised
from contest.inputs import LABEL, REQUEST, SHAPES, Inputs, loaded_model, make_inputs
from trifacet.base.draws import generator
from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.engine.continuing import Decoding, Question, drawn, grown
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.growing import Pictures, Prompt
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.decoding import decoding, generate, length_of
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.models.sharing import SharedBase

AT_A_TIME, SAMPLES, BEAMS, TEMPERATURE, SHARPER = 8, 8, 3, 0.7, 20


class Task(NamedTuple):
    """Pictures (0: as many as asked for), texts that are drawn of each (1: it is not drawn), beams."""

    pictures: int
    draws: int = 1
    beams: int = 1


TASKS = {"samples": Task(1, SAMPLES), "pictures": Task(0), "both": Task(0, SAMPLES), "beams": Task(0, 1, BEAMS)}
ROLES, STEPS = "roles", 3
CONTESTANTS = ("ours", "batches", "one text")
Texts = dict[tuple[int, int], list[int]]


class Bench:
    """A model and its prompts, all of one length."""

    def __init__(self, inputs: Inputs, pictures: int, longest: int) -> None:
        loaded = loaded_model(inputs)
        self.model, self.family, self.longest = loaded.model.eval(), loaded.family, longest
        self.device = inputs.shape.device
        with torch.no_grad():  # as sharp as a trained model: a flat one draws another word for a rounding's difference
            self.model.get_output_embeddings().weight.mul_(SHARPER)
        self.encoder = SampleEncoder(self.family, prompt=REQUEST, context_label=LABEL, max_length=4096)
        names = sorted(path.name for path in inputs.folder.glob("*.png"))
        context = inputs.samples[0].context
        self.prompts = []
        for number in range(pictures):
            picture = load_image(inputs.folder, names[number % len(names)]).rotate(90 * (number // len(names)))
            images = (self.family.read(picture),)
            self.prompts.append(Prompt(self.encoder.prompt_path(None, context, images, reserve=longest)[0], images))
        self.encoded = 0
        features = self.family.features

        def counted(model: Any, **images: Any) -> list[Any]:
            self.encoded += len(images["pixel_values"])
            return features(model, **images)

        vars(self.family)["features"] = counted

    def write(self, contestant: str, task: Task) -> Texts:
        """The texts by (picture, draw)."""
        prompts = self.prompts[: task.pictures]
        if contestant == "ours":
            return self._ours(prompts, task)
        size, draws = (
            (AT_A_TIME, [range(task.draws)]) if contestant == "batches" else (1, [[n] for n in range(task.draws)])
        )
        texts: Texts = {}
        for at in range(0, len(prompts), size):
            for some in draws:
                texts |= self._theirs(prompts[at : at + size], at, some, task)
        return texts

    def _ours(self, prompts: Sequence[Prompt], task: Task) -> Texts:
        config = self._config(task, 1)
        how = Decoding(
            self.longest, frozenset(config.eos_token_id), tuple(config.suppress_tokens or ()),
            temperature=TEMPERATURE if task.draws > 1 else 0.0, beams=task.beams,
        )  # fmt: skip
        groups = (
            [Question(at, prompt, {draw: _numbers(at, draw) for draw in range(task.draws)})]
            for at, prompt in enumerate(prompts)
        )
        found = grown(self.model, self.family, groups, how, rows=min(AT_A_TIME, len(prompts)))
        return {(answer.key, answer.draw): answer.tokens for answer in found}

    def _theirs(self, prompts: Sequence[Prompt], first: int, draws: Sequence[int], task: Task) -> Texts:
        config = self._config(task, len(draws))
        ids = torch.stack([torch.from_numpy(prompt.path.tokens_L) for prompt in prompts]).to(self.device)
        images = [image for prompt in prompts for image in prompt.images]
        keys = [(first + row, draw) for row in range(len(prompts)) for draw in draws]
        drawing: dict[str, Any] = {}
        if task.draws > 1:
            drawing = {"logits_processor": LogitsProcessorList([_Chosen([_numbers(*key) for key in keys])])}
        with torch.no_grad():
            collated = {name: value.to(self.device) for name, value in self.family.collate(images).items()}
            features = self.family.features(self.model, **collated)
            output = generate(
                self.model, config, input_ids=ids, attention_mask=torch.ones_like(ids),
                mm_encoder_outputs=self.family.encoded(features), **self.family.told(ids, images), **drawing,
            )  # fmt: skip
        rows = [row[ids.shape[1] :].tolist() for row in output]
        ends = {*config.eos_token_id, config.pad_token_id}
        return {key: row[: length_of(row, ends)] for key, row in zip(keys, rows, strict=True)}

    def _config(self, task: Task, candidates: int) -> Any:
        config = decoding(
            self.model, self.encoder.tokenizer, temperature=float(task.draws > 1), longest=self.longest,
            ends=[self.encoder.end_id], reserved=self.family.reserved_ids, beams=task.beams, candidates=candidates,
        )  # fmt: skip
        return config


class _Chosen(LogitsProcessor):
    """Leaves the token of each row that ``drawn`` draws."""

    def __init__(self, numbers: Sequence[np.random.Generator]) -> None:
        self.numbers = numbers
        self.how = Decoding(1, frozenset(), temperature=TEMPERATURE)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens = drawn(scores.float(), self.how, [random.random() for random in self.numbers])
        chosen_S1 = torch.tensor(tokens, device=scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter(1, chosen_S1, 0.0)


def _numbers(picture: int, draw: int) -> np.random.Generator:
    return generator("speed", picture, draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="demo")
    parser.add_argument("--tasks", default=",".join([*TASKS, ROLES]), help=f"some of {', '.join([*TASKS, ROLES])}")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--longest", type=int, default=25, help="tokens of a text, which few end before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="also the peak of a process for each")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), SHAPES[options.shape])
        bench = Bench(inputs, options.pictures, options.longest)
        print(f"shape {options.shape}, {inputs.parameters / 1e6:.1f} M weights, prompts of "
              f"{len(bench.prompts[0].path.tokens_L)} tokens, {options.longest} tokens a text")  # fmt: skip
        print(f"{'task':<10}{'contestant':<12}{'seconds':>9}  {'ours / it':<24}{'encoded':>8}  memory", flush=True)
        for name in options.tasks.split(","):
            if name == ROLES:
                _compare_roles(inputs, options)
                continue
            task = TASKS[name]._replace(pictures=TASKS[name].pictures or options.pictures)
            _compare(bench, inputs, name, task, options)


class Turns(NamedTuple):
    """Of each contestant: seconds of its turns, pictures that it encoded in one, its texts."""

    seconds: dict[str, list[float]]
    encoded: dict[str, int]
    texts: dict[str, Texts]

    def ratios(self, one: str) -> list[float]:
        """Ours to its, turn by turn."""
        return [ours / its for ours, its in zip(self.seconds["ours"], self.seconds[one], strict=True)]

    def same(self, one: str) -> float:
        """The share of its texts that are ours, token by token."""
        ours, its = self.texts["ours"], self.texts[one]
        return sum(its[key] == text for key, text in ours.items()) / len(ours)


def taking_turns(bench: Bench, task: Task, rounds: int) -> Turns:
    """So many turns of each contestant after one that warms up, another one first in each."""
    turns = Turns({one: [] for one in CONTESTANTS}, {}, {})
    for number in range(rounds + 1):
        for one in [*CONTESTANTS[number % 3 :], *CONTESTANTS[: number % 3]]:
            bench.encoded, began = 0, synchronised(bench.device)
            turns.texts[one] = bench.write(one, task)
            if number:
                turns.seconds[one].append(synchronised(bench.device) - began)
            turns.encoded[one] = bench.encoded
    return turns


def _compare(bench: Bench, inputs: Inputs, name: str, task: Task, options: argparse.Namespace) -> None:
    turns = taking_turns(bench, task, options.rounds)
    if different := [one for one in CONTESTANTS if turns.same(one) < 1]:
        sys.exit(f"{name}: other texts than ours by {', '.join(different)}")
    for one in CONTESTANTS:
        ratios = turns.ratios(one)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        peak = ""
        if options.memory:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peak = f"{pool.apply(_peak, (inputs, one, task, options)) / 2**20:.0f} MiB"
        print(
            f"{name:<10}{one:<12}{statistics.median(turns.seconds[one]):>9.2f}  {spread:<24}"
            f"{turns.encoded[one]:>8}  {peak}",
            flush=True,
        )


def _compare_roles(inputs: Inputs, options: argparse.Namespace) -> None:
    """Three steps of two roles: adapters that lie on one base, against checkpoints that are loaded for each."""
    root = inputs.folder / "roles"
    adapters = [_random_adapter(inputs, root / name, seed) for seed, name in enumerate(("generator", "reviser"))]
    names = sorted(path.name for path in inputs.folder.glob("*.png"))
    for number in range(options.pictures):
        picture = load_image(inputs.folder, names[number % len(names)]).rotate(90 * (number // len(names)))
        picture.save(root / f"{number}.png")
    how = Generation(beams=1, max_new_tokens=options.longest, batch_size=AT_A_TIME)
    options_of: dict[str, Any] = {"dtype": inputs.shape.dtype, "device": inputs.shape.device}

    def written(loaded: Any, step: int, pictures: Pictures) -> list[str]:
        encoder = SampleEncoder(loaded.family, prompt=REQUEST, context_label=LABEL, max_length=4096)
        posts = [TestSample(id=f"{n}-{step}", image=f"{n}.png", prompt=f"{REQUEST} {step}")
                 for n in range(options.pictures)]  # fmt: skip
        writer = FamilyWriter(loaded.model, encoder, how, pictures=pictures)
        return [text.text for text in writer.write(posts, root)]

    def switching() -> tuple[list[str], int]:
        with SharedBase(inputs.folder, **options_of) as shared:
            texts: list[str] = []
            for step in range(STEPS):
                for adapter in adapters:
                    with shared.under(adapter) as loaded:
                        texts += written(loaded, step, shared.pictures(adapter))
            return texts, max(max(counts.values()) for counts in shared.encoded.values())

    def loading() -> tuple[list[str], int]:
        texts, seen = [], [Pictures() for _ in adapters]
        for step in range(STEPS):
            for adapter, pictures in zip(adapters, seen, strict=True):
                texts += written(load_model(adapter, **options_of), step, pictures)
        return texts, max(max(pictures.encoded.values()) for pictures in seen)

    ways = {"ours": switching, "loaded": loading}
    seconds: dict[str, list[float]] = {one: [] for one in ways}
    found = {}
    for number in range(options.rounds + 1):
        for one in [*ways][:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            found[one] = ways[one]()
            seconds[one].append(time.perf_counter() - began)
    if found["ours"][0] != found["loaded"][0]:
        sys.exit("roles: other texts under switched adapters than of the checkpoints")
    for one in ways:
        ratios = [ours / theirs for ours, theirs in zip(seconds["ours"][1:], seconds[one][1:], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{ROLES:<10}{one:<12}{statistics.median(seconds[one][1:]):>9.2f}  {spread:<24}"
              f"each picture {found[one][1]} x under each adapter", flush=True)  # fmt: skip


def _random_adapter(inputs: Inputs, folder: Path, seed: int) -> Path:
    """An adapter that says something else than its base."""
    loaded = load_model(inputs.folder, dtype=inputs.shape.dtype, device=inputs.shape.device)
    settings = LoraSettings(rank=8, alpha=16, dropout=0.0, targets=r".*(q_proj|v_proj)")
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=settings)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=random).to(weight), alpha=0.05)
    save_model(model, loaded.processor, folder)
    return folder


def _peak(inputs: Inputs, contestant: str, task: Task, options: argparse.Namespace) -> int:
    """Bytes that writing takes beyond what the process had when its model and prompts were there."""
    torch.set_num_threads(options.threads)
    bench = Bench(inputs, options.pictures, options.longest)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bench.write(contestant, task)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


if __name__ == "__main__":
    main()
