"""Preference data that a model makes, verifies and refines, where the truth of every answer is known.

    python bench/evolving/experiment.py                                   # five seeds, all ways
    python bench/evolving/experiment.py --seeds 17 --ways ipa no-contrastive
    python bench/evolving/experiment.py --roles 7                         # what each role of a seed's start can do
    python bench/evolving/experiment.py --tables                          # of what is finished; nothing is run
    python bench/evolving/experiment.py --output runs/try --seeds 1 --rate 1e-4 --small

A way is a recipe of ``trifacet evolve`` in ``ways/``; ``gold`` is DPO on the world's own true pairs
(``variants/gold.yaml``). All ways of a seed start from one supervised model, a run of ``world.yaml`` (``iterative``: of
``alt-text.yaml``), and have one learning rate for all trainings: of a grid that ``gold`` chooses from with the sweep's
seed, so that no evolving has a part in the choice. What was interrupted goes on and what is finished is not done again.

Tables, per way over seeds, all against the truth (``demo/tasks_truth.py``): yield per round and origin; the verifier's
precision, recall and false accepts per task; revisions that mend and spoil; accuracy per task of each round's model and
of the aligned one, with differences to the start over the pictures of all seeds; what the gate says of each verifier;
losses of the last training.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from variants import (
    ALIGNED,
    SEEDS,
    SFT,
    Experiment,
    Folders,
    Values,
    differences,
    mean_and_spread,
    print_table,
    read_texts,
)

from evolving import scripted
from trifacet.base.errors import TrifacetError
from trifacet.base.files import write_atomically
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.data.records import TestSample, make_sample
from trifacet.demo.tasks_texts import TASKS
from trifacet.evolving.evolve import evolve
from trifacet.evolving.rounds import round_folder
from trifacet.evolving.settings import EvolveRecipe, load_evolve_recipe
from trifacet.evolving.truth import (
    ALL,
    RoundRows,
    Share,
    accuracy,
    pairs_told,
    read_round,
    revisions,
    texts_right,
    verifier,
)
from trifacet.metrics.grounding import ground
from trifacet.statistics.measures import mean_measure

HERE = Path(__file__).resolve().parent
PROMPTS = HERE / "prompts"
GOLD, ITERATIVE, REFERENCE = "gold", "iterative", "reference-sampler"
WAYS = sorted(path.stem for path in (HERE / "ways").glob("*.yaml"))
TRAININGS = ("align", "rounds.generator", "rounds.reviser")
HELD, HELD_POSTS = 120, 60  # rows of validation.jsonl that are held out; models answer the others
SMALL = (
    "data.world.sft=800", "data.world.preference=16", "data.world.validation=18", "data.world.test=12",
    "model.tiny.warmup_steps=2", "model.tiny.hidden_size=32", "model.tiny.vision_hidden_size=32", "model.tiny.layers=1",
    "sft.learning_rate=4e-3", "generate.max_new_tokens=24",
)  # fmt: skip
SMALL_WAY = (
    "limit=12", "part=8", "gate.samples=6", "generate.max_new_tokens=24",
)  # fmt: skip
ORIGINS = ("normal", "diffusion", "blur", "downscale", "revised")
BASE, IN_ORDER = "base", "rewards/accuracies/rpo"


def _before(folders: Folders, name: str, seed: int, held: int = HELD) -> None:
    """Held-out samples and those that models answer, both from the validation split; kept."""
    data = folders.start(seed) / "data"
    whole = data / "validation.jsonl"
    if whole.exists() and not (data / "samples.jsonl").exists():
        lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
        held = len(TASKS) if folders.small else held
        write_atomically(data / "held-out.jsonl", "".join(lines[:held]))
        write_atomically(data / "samples.jsonl", "".join(lines[held:]))


EXPERIMENT = Experiment(HERE, ("grounding",), "grounding", SMALL, {SFT: "world.yaml"}, before=_before)
POSTS = Experiment(
    HERE, ("grounding",), "grounding", SMALL, {SFT: "alt-text.yaml"}, before=partial(_before, held=HELD_POSTS)
)


def way_folder(folders: Folders, way: str, seed: int) -> Path:
    """The output folder of a way."""
    return folders.root / "ways" / way / f"seed-{seed}"


def start(folders: Folders, way: str, seed: int) -> Path:
    """The run that a way starts from, made if it is not there: the world and the supervised model."""
    experiment, beside = _start(folders, way)
    experiment.start(beside, SFT, seed)
    experiment.before(beside, SFT, seed)
    return beside.start(seed)


def _start(folders: Folders, way: str) -> tuple[Experiment, Folders]:
    return (POSTS, Folders(folders.root / "alt-text", folders.small)) if way == ITERATIVE else (EXPERIMENT, folders)


def way_recipe(folders: Folders, way: str, seed: int, rate: float | None, *overrides: str) -> EvolveRecipe:
    """A way's recipe with what depends on place and seed; ``rate``: of all trainings (None: the recipe's)."""
    run = _start(folders, way)[1].start(seed)
    own = [
        f"output={way_folder(folders, way, seed)}",
        f"seed={seed}",
        f"model.path={run / 'models' / SFT / 'model'}",
        f"data.root={run / 'data'}",
    ]
    if way == ITERATIVE:
        own.append(f"judge={_endpoint(folders, 'judge')}")
    else:
        own += [f"roles.reviser.prompt={PROMPTS}", f"roles.verifier.prompt={PROMPTS / 'verify-word.txt'}"]
        own += [f"{one}.learning_rate={rate}" for one in TRAININGS if rate is not None]
    if way in scripted.YES:
        own.append(f"roles.verifier.endpoint={_endpoint(folders, way)}")
    if way == REFERENCE:
        own.append(f"roles.generator.prompt={PROMPTS}")
    small = SMALL_WAY if folders.small else ()
    return load_evolve_recipe(HERE / "ways" / f"{way}.yaml", [*own, *small, *overrides])


def _endpoint(folders: Folders, name: str) -> Path:
    return folders.root / f"{name}.yaml"


def run_way(folders: Folders, way: str, seed: int, rate: float | None) -> None:
    """One way with one seed; its endpoint is served meanwhile."""
    data = start(folders, way, seed) / "data"
    with ExitStack() as stack:
        if way in scripted.YES:
            stack.enter_context(scripted.served(way, _endpoint(folders, way), scripted.careless(way)))
        elif way == ITERATIVE:
            samples = read_samples(data / "samples.jsonl") | read_samples(data / "held-out.jsonl")
            stack.enter_context(scripted.served("judge", _endpoint(folders, "judge"), scripted.judge(samples, data)))
        evolve(way_recipe(folders, way, seed, rate))


def read_samples(file: Path) -> dict[str, TestSample]:
    """The samples of a file, by id."""
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    made: list[Any] = [make_sample("test", row, file=file, row=number + 1) for number, row in enumerate(rows)]
    return {one.id: one for one in made}


# --- tables -----------------------------------------------------------------------------------------------------------


def finished(folders: Folders, way: str, seed: int) -> bool:
    """Whether a way has come to its end with this seed."""
    return (way_folder(folders, way, seed) / "report.html").exists()


def rounds_of(folders: Folders, way: str, seed: int) -> dict[int, RoundRows]:
    """The rounds that a way came to, by number."""
    folder = way_folder(folders, way, seed)
    reached = [number for number in (1, 2, 3) if (round_folder(folder, number) / "preference.jsonl").exists()]
    return {number: read_round(round_folder(folder, number)) for number in reached}


def yields(folders: Folders, ways: Sequence[str], seeds: Sequence[int]) -> None:
    """Print what each round yields, per way; answers by origin."""
    print("Yield of each round: samples, pairs, those that are true (chosen right, rejected wrong) and false\n")
    rows, origins = [], []
    for way in ways:
        of_seeds = [rounds_of(folders, way, seed) for seed in seeds]
        for number in sorted({number for rounds in of_seeds for number in rounds}):
            there = [rounds[number] for rounds in of_seeds if number in rounds]
            told = [pairs_told(one.pairs) for one in there]
            mends = [revisions(one.answers) for one in there]
            rows.append(
                [
                    way,
                    f"{number}",
                    mean_and_spread([len(one.samples) for one in there], 0),
                    mean_and_spread([len(one.pairs) for one in there], 0),
                    *(_spread([one[what] for one in told]) for what in ("true", "false")),
                    *(_spread([one[what] for one in mends]) for what in ("mended", "spoilt")),
                ]
            )
            found = [(accuracy(one.answers, _origin), verifier(one.answers, _origin)) for one in there]
            for origin in (*ORIGINS, ALL):
                shares = [(right.get(origin, NONE), by) for right, by in found]
                if any(share.whole for share, _ in shares):
                    origins.append(
                        [
                            way,
                            f"{number}",
                            origin,
                            mean_and_spread([share.whole for share, _ in shares], 0),
                            _spread([share for share, _ in shares]),
                            *(
                                _of(by for _, by in shares)(what, origin)
                                for what in ("recall", "false_accepts", "precision")
                            ),
                        ]
                    )
    print_table(["way", "round", "samples", "pairs", "true", "false", "revisions mended", "spoilt"], rows)
    print("\nAnswers by origin: right ones, and what the verifier accepts\n")
    heads = ["way", "round", "origin", "answers", "right", "right ones accepted", "wrong ones accepted", "precision"]
    print_table(heads, origins)


def verifiers(folders: Folders, ways: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the verifier's measures per task over the answers of each round, and what the gate says of it."""
    print("\nThe verifier against the truth, per task\n")
    rows = []
    for way in ways:
        of_seeds = [rounds_of(folders, way, seed) for seed in seeds]
        for number in sorted({number for rounds in of_seeds for number in rounds}):
            found = [verifier(rounds[number].answers, _task) for rounds in of_seeds if number in rounds]
            of = _of(found)
            for task in (*TASKS, ALL):
                measures = ("precision", "recall", "false_accepts", "malformed")
                rows.append([way, f"{number}", task, *(of(what, task) for what in measures)])
    print_table(["way", "round", "task", "precision", "recall", "false accepts", "malformed"], rows)
    print("\nThe gate, by probes made of references\n")
    gates = []
    for way in ways:
        documents = [
            json.loads((way_folder(folders, way, seed) / "gate.json").read_text(encoding="utf-8")) for seed in seeds
        ]
        numbers = [
            mean_and_spread([_percent(one["all"][what]) for one in documents], 1)
            for what in ("precision", "recall", "false_accepts", "yes_share")
        ]
        gates.append([way, f"{sum(one['passed'] for one in documents)}/{len(seeds)}", *numbers])
    print_table(["way", "seeds passed", "precision", "recall", "false accepts", "yes share"], gates)


def accuracies(folders: Folders, ways: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the accuracy per task of each model, and differences to the start."""
    print("\nAccuracy per task on test pictures: the start, each round's generator, the aligned model\n")
    measured: dict[str, dict[int, dict[str, dict[str, float]]]] = {}
    for way in ways:
        for seed in seeds:
            samples = read_samples(folders.start(seed) / "data" / "test.jsonl")
            for model, file in _texts(folders, way, seed).items():
                name = model if model == BASE else way if model == ALIGNED else f"{way}, {model}"
                right = texts_right(file, samples)
                by_task = {task: {} for task in TASKS} | {ALL: right}
                for key, value in right.items():
                    by_task[samples[key].extra["task"]][key] = value
                measured.setdefault(name, {})[seed] = by_task
    complete = {name: one for name, one in measured.items() if len(one) == len(seeds)}
    values: Values = {
        (name, seed): {task: _mean(right.values()) for task, right in by_task.items()}
        for name, one in complete.items()
        for seed, by_task in one.items()
    }
    rows = [
        [name, *(mean_and_spread([values[name, seed][task] for seed in seeds], 1) for task in (*TASKS, ALL))]
        for name in complete
    ]
    print_table(["model", *TASKS, ALL], rows)
    contestants = [
        Contestant(
            name,
            name,
            {
                ("", task): mean_measure(
                    task, {f"{seed}/{key}": value for seed in seeds for key, value in one[seed][task].items()}
                )
                for task in (*TASKS, ALL)
            },
        )
        for name, one in complete.items()
    ]
    if len(contestants) > 1 and BASE in complete:
        print(
            "\nDifferences to the start over the pictures of all seeds [95 %], p by Holm, seeds in which it is better\n"
        )
        compared = compare(contestants, ComparisonSettings(baseline=BASE))
        print_table(["model", "task", "difference", "p", "seeds better"], differences(compared, values, seeds))


def losses(folders: Folders, ways: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the loss of the last training at its start and its end, beside what it did to the accuracy."""
    print("\nThe last training: DPO loss and share of pairs that the model has in order, first and last ones logged\n")
    rows = []
    for way in ways:
        logs = [_log(way_folder(folders, way, seed) / ALIGNED / "models" / ALIGNED) for seed in seeds]
        told = [[row[key] for row in (log[0], log[-1]) for key in ("loss", IN_ORDER)] for log in logs if log]
        if told:
            rows.append([way, *(mean_and_spread(list(column), 3) for column in zip(*told, strict=True))])
    print_table(["way", "loss, first", "in order", "loss, last", "in order"], rows)


def iterative(folders: Folders, seeds: Sequence[int]) -> None:
    """Print the facts that each round's model states rightly of test posts."""
    print("\nIterative alignment: facts of test posts that are stated rightly, per cent\n")
    found: dict[str, list[float]] = {}
    for seed in seeds:
        samples = read_samples(_start(folders, ITERATIVE)[1].start(seed) / "data" / "test.jsonl")
        for model, file in _texts(folders, ITERATIVE, seed).items():
            texts = read_texts(file)
            right = [100 * ground(text, samples[key].extra).values["grounding"] for key, text in texts.items()]
            found.setdefault(model, []).append(_mean(right))
    print_table(["model", "grounding"], [[name, mean_and_spread(of, 1)] for name, of in found.items()])


def roles(folders: Folders, seed: int, amount: int) -> None:
    """Print what the roles of a start can do: one round without training, feedback without and with the reference."""
    run = start(folders, "ipa", seed)
    samples = read_samples(run / "data" / "test.jsonl")
    right = texts_right(run / "generations" / f"{SFT}.jsonl", samples)
    print("The generator without sampling, right answers to test pictures, per cent\n")
    of_task = {task: [right[key] for key in right if samples[key].extra["task"] == task] for task in TASKS}
    print_table([*TASKS, ALL], [[*(f"{_mean(of):.1f}" for of in (*of_task.values(), right.values()))]])
    for shown in ("null", "1"):
        folder = folders.root / "roles" / f"seed-{seed}" / ("seen" if shown == "1" else "unseen")
        own = [
            f"output={folder}",
            "rounds={count: 1}",
            "align=null",
            f"revision.reference_from={shown}",
            f"limit={amount}",
        ]
        evolve(way_recipe(folders, "ipa", seed, None, *own))
        rows = read_round(round_folder(folder, 1))
        if shown == "null":
            print("\nSampled: answers that are right, and the verifier of them\n")
            normal = [one for one in rows.answers if one.origin == "normal"]
            drawn, by = accuracy(normal, _task), verifier(rows.answers, _task)
            print_table(
                ["task", "right", "precision", "recall", "false accepts", "malformed"],
                [
                    [task, _spread([drawn.get(task, NONE)]), *(_of([by])(what, task) for what in by)]
                    for task in (*TASKS, ALL)
                ],
            )
            print("\nRevisions\n\n| reference | mended of wrong | spoilt of right |\n|---|---:|---:|")
        told = revisions(rows.answers)
        print(f"| {'seen' if shown == '1' else 'unseen'} | {told['mended'].value:.1f} | {told['spoilt'].value:.1f} |")


NONE = Share(0, 0)


def _of(found: Iterable[Mapping[str, Mapping[str, Share]]]) -> Any:
    kept = list(found)
    return lambda what, group: _spread([one[what].get(group, NONE) for one in kept])


def _spread(shares: Sequence[Share]) -> str:
    there = [one.value for one in shares if one.whole]
    return mean_and_spread(there, 1) if there else "-"


def _task(one: Any) -> str:
    return str(one.task)


def _origin(one: Any) -> str:
    return str(one.origin)


def _texts(folders: Folders, way: str, seed: int) -> dict[str, Path]:
    """What models wrote of test pictures: the start's, each round's, the aligned one's."""
    if way == GOLD:
        return {ALIGNED: EXPERIMENT.texts(folders, GOLD, seed)}
    found = way_folder(folders, way, seed) / "held-out" / "test" / "generations"
    files = {name: found / f"{name}.jsonl" for name in (BASE, "round-1", "round-2", "round-3", ALIGNED)}
    return {name: file for name, file in files.items() if file.exists()}


def _log(stage: Path) -> list[dict[str, float]]:
    """The rows of a training's log that tell of its pairs."""
    file = stage / "log.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    return [row for row in rows if IN_ORDER in row]


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else nan


def _percent(number: Mapping[str, Any] | None) -> float:
    value = None if number is None else number["value"]
    return nan if value is None else 100.0 * value


def tables(folders: Folders, seeds: Sequence[int], ways: Sequence[str]) -> None:
    """Print what is finished."""
    there = [way for way in ways if all(finished(folders, way, seed) for seed in seeds)]
    if missing := [way for way in ways if way not in there]:
        print(f"not finished, and left out: {', '.join(missing)}\n")
    by_reference = [way for way in there if way != ITERATIVE]
    if by_reference:
        yields(folders, by_reference, seeds)
        verifiers(folders, by_reference, seeds)
        gold = [GOLD] if all(EXPERIMENT.finished(folders, GOLD, seed) for seed in seeds) else []
        accuracies(folders, [*by_reference, *gold], seeds)
        losses(folders, by_reference, seeds)
    if ITERATIVE in there:
        iterative(folders, seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/evolving"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS, help="none: gold alone")
    parser.add_argument("--rate", type=float, help="one learning rate instead of the one that gold's sweep chooses")
    parser.add_argument("--roles", type=int, metavar="SEED", help="run no way: what the roles of a start can do")
    parser.add_argument("--samples", type=int, default=120, help="that --roles asks about")
    parser.add_argument("--small", action="store_true", help="tiny model and data: whether all of it works")
    parser.add_argument("--tables", action="store_true", help="run nothing: the tables of what is finished")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = Folders(options.output.resolve(), options.small)
    if options.roles is not None:
        roles(folders, options.roles, options.samples)
        return
    if not options.tables:
        rate = options.rate or EXPERIMENT.chosen_rate(folders, GOLD)
        print(f"learning rate {rate:g}", flush=True)
        EXPERIMENT.run(folders, options.seeds, [GOLD], rate)
        for seed in options.seeds:
            for way in options.ways:
                began = time.perf_counter()
                try:
                    run_way(folders, way, seed, rate)
                    print(f"{way}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
                except TrifacetError as error:
                    print(f"{way}, seed {seed}: left out, {error}", flush=True)
    tables(folders, options.seeds, options.ways)


if __name__ == "__main__":
    main()
