"""A training over the phases of a curriculum: what each uses, what it costs, and that a stop changes nothing."""

import json
import math
import signal
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from searching import some
from small_runs import STAGE, Command, log_of, recipe_file, recipe_of, train, weights_of

from trifacet.base.errors import DataError, TrifacetError
from trifacet.engine.scoring import TrieScorer
from trifacet.generation import writer
from trifacet.metrics.rouge import rouge_l
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_processor
from trifacet.training.difficulty import semantic_entropy
from trifacet.training.reference import ReferenceParts
from trifacet.training.sources import training_set
from trifacet.training.trainer import LatticeTrainer

# 13 samples in batches of 2, two forwards a step: in three phases of 5, 4 and 4 samples passes of 2, 1 and 1 steps
SMALL = {**STAGE, "max_steps": None, "limit": 13, "accumulation": 2, "learning_rate": 1e-4, "objective": "dpo"}
LORA = {"model.lora": {"rank": 4, "alpha": 8, "dropout": 0.1}, "model.paradigm": 1}  # random numbers have to go on too


def recipe_with(output, world, model, curriculum, changes=None, **stage):
    align = {**SMALL, "curriculum": curriculum, **stage}
    return recipe_of(output, world, model, {"sft": None, "align.mcm": align, **(changes or {})})


@pytest.fixture(scope="module")
def trained(tmp_path_factory, world, tiny_folder):
    """Folders of trained stages, by curriculum and what else differs from ``SMALL``."""
    made = {}

    def run(curriculum, changes=None, **stage):
        key = json.dumps([curriculum, changes, stage], sort_keys=True)
        if key not in made:
            output = tmp_path_factory.mktemp("run") / "out"
            made[key] = train(recipe_with(output, world, tiny_folder, curriculum, changes, **stage), "mcm", tiny_folder)
        return made[key]

    return run


def assert_same(folder, other):
    assert [line["loss"] for line in log_of(folder)] == [line["loss"] for line in log_of(other)]
    theirs = weights_of(other)
    assert all(torch.equal(weight, theirs[name]) for name, weight in weights_of(folder).items())


def flat(batches):
    return [index for batch in batches for index in batch]


def phases(folder):
    return json.loads((folder / "done.json").read_text())["curriculum"]["phases"]


@pytest.fixture
def indices(monkeypatch):
    """The samples of each forward of a training, as they come."""
    seen = []
    compute = LatticeTrainer.compute_loss

    def noting(self, model, inputs, *arguments, **options):
        seen.append(inputs[1].indices)
        return compute(self, model, inputs, *arguments, **options)

    monkeypatch.setattr(LatticeTrainer, "compute_loss", noting)
    return seen


WHOLE = {
    "drawn": ({}, {"epochs": 2}),
    "in batch": ({"rejected.in_batch": True}, {"epochs": 1.5, "objective": "mdpo"}),
}


@pytest.mark.parametrize("name", some(WHOLE, "drawn"))
def test_one_group_trains_as_no_curriculum_does_bit_by_bit(trained, name):
    changes, stage = WHOLE[name]
    assert_same(trained({"groups": 1}, changes, **stage), trained(None, changes, **stage))


def test_phases_go_from_easy_to_hard(tmp_path, world, tiny_folder, indices):
    folder = train(recipe_with(tmp_path / "out", world, tiny_folder, {"epochs": [2, 1, 1]}), "mcm", tiny_folder)
    rows = phases(folder)
    assert [(row["samples"], row["first_step"], row["steps"]) for row in rows] == [(5, 1, 4), (4, 5, 1), (4, 6, 1)]
    assert all(one["hardest"] <= other["easiest"] for one, other in pairwise(rows))
    assert [line["phase"] for line in log_of(folder)] == [1, 1, 1, 1, 2, 3]
    first, second, later = indices[:3], indices[3:6], indices[6:]
    assert sorted(flat(first)) == sorted(flat(second))
    assert first != second
    assert [len(batch) for batch in indices] == [2, 2, 1, 2, 2, 1, 2, 2, 2, 2]
    assert sorted(flat(first + later)) == list(range(13))
    told = [json.loads(line) for line in (folder / "difficulties.jsonl").read_text().splitlines()]
    for number, batches in ((1, first), (2, indices[6:8]), (3, indices[8:])):
        assert [at for at, line in enumerate(told) if line["group"] == number] == sorted(flat(batches))
    assert {line["difficulty"] for line in told} >= {row["easiest"] for row in rows}


def test_mixed_phases_keep_the_samples_of_those_before(tmp_path, world, tiny_folder, indices):
    curriculum = {"mixed": True, "order": "hard-to-easy"}
    rows = phases(train(recipe_with(tmp_path / "out", world, tiny_folder, curriculum), "mcm", tiny_folder))
    first, second, third = (set(flat(part)) for part in (indices[:2], indices[2:6], indices[6:]))
    assert first < second < third == set(range(13))
    assert [row["hardest"] for row in rows] == [rows[2]["hardest"]] * 3
    assert rows[0]["easiest"] > rows[1]["easiest"] > rows[2]["easiest"]


def forwards(monkeypatch):
    """How many of the scorer's forwards had no gradient: those of a reference."""
    plain, calls = TrieScorer.forward, []

    def noting(self, batch):
        if not torch.is_grad_enabled():
            calls.append(len(batch.lengths_C))
        return plain(self, batch)

    monkeypatch.setattr(TrieScorer, "forward", noting)
    return calls


def test_difficulty_costs_no_pass_beyond_the_references(tmp_path, world, tiny_folder, monkeypatch, capfd):
    calls = forwards(monkeypatch)

    def run(name, curriculum, **stage):
        calls.clear()
        recipe = recipe_with(tmp_path / name, world, tiny_folder, curriculum, **stage, limit=5)
        train(recipe, "mcm", tiny_folder)
        return list(calls)

    alone = run("alone", None)
    assert len(alone) == 3  # 5 samples by twos
    assert run("entropy", {}) == alone
    assert run("margin", {"difficulty": "margin"}) == alone
    assert "once more" not in capfd.readouterr().err
    (tmp_path / "entropy/models/mcm/done.json").unlink()  # trained again, its cache being there
    assert run("entropy", {}) == []
    # a cache of before there were entropies: one pass over the chosen responses alone
    (tmp_path / "alone/models/mcm/done.json").unlink()
    assert run("alone", {}) == [2, 2, 1]
    assert "mcm: the reference is scored once more, for the entropy of each sample" in capfd.readouterr().err
    online = run("online", {}, reference="online")
    assert online[:3] == [2, 2, 1]
    wanted = phases(tmp_path / "entropy/models/mcm")
    for name in ("alone", "online"):  # other tries than those of the whole pass, so rounded in another way
        for row, other in zip(phases(tmp_path / name / "models/mcm"), wanted, strict=True):
            assert row == {**other, **{key: pytest.approx(other[key], abs=1e-5) for key in ("easiest", "hardest")}}


@pytest.mark.parametrize("kind", some(["full cache", "full online", "lora cache", "lora online"], "lora online"))
def test_the_previous_phases_model_is_the_next_ones_reference(trained, kind):
    """Policy and reference are the same at a phase's first step, so the loss is that of all margins 0."""
    what, reference = kind.split()
    changes = {**LORA, "model.lora": {"rank": 4}} if what == "lora" else {}
    folder = trained({"reference": "previous", "epochs": 2}, changes, reference=reference)
    lines, rows = log_of(folder), phases(folder)
    assert [row["reference"] for row in rows] == ["start", "after phase 1", "after phase 2"]
    borders = [row["first_step"] for row in rows]
    for line in lines:
        nothing_moved = abs(line["loss"] - math.log(2)) < 2e-5
        assert nothing_moved == (line["step"] in borders), line["step"]


@pytest.mark.endurance
def test_cached_and_online_references_of_phases_agree(trained):
    curriculum = {"reference": "previous", "mixed": True}
    gentle = {"learning_rate": 1e-5}  # Adam divides by the gradient's size: larger steps blow up rounding
    cached, online = trained(curriculum, **gentle), trained(curriculum, **gentle, reference="online")
    for ours, theirs in zip(log_of(cached), log_of(online), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)


@pytest.mark.endurance
def test_a_loaders_workers_get_each_phases_reference(trained):
    curriculum = {"reference": "previous", "mixed": True}
    usual, other = trained(curriculum), trained(curriculum, {"data.workers": 1})
    assert_same(usual, other)


def test_groups_that_lend_each_other_versions_stay_in_their_phase(tmp_path, world, tiny_folder, indices):
    """Of 13 samples in phases of 5, 4 and 4 no batch of two crosses a border, and the same two meet in every pass."""
    changes = {"rejected.in_batch": True}
    recipe = recipe_with(
        tmp_path / "out", world, tiny_folder, {"mixed": True}, changes, objective="mdpo", reference="online"
    )
    train(recipe, "mcm", tiny_folder)
    first, second, third = ({frozenset(batch) for batch in part} for part in (indices[:3], indices[3:8], indices[8:]))
    assert first < second < third
    assert sorted(map(len, third)) == [1, 2, 2, 2, 2, 2, 2]
    samples = training_set(recipe, "mcm", recipe.align["mcm"])
    encoder = WayOfAsking.of(recipe.data).encoder(load_processor(tiny_folder))
    shown = samples.trained_on(encoder, recipe.folder).groups  # to those who show what was trained on
    assert {frozenset(group) for group in shown.members} == third


def test_an_objective_without_a_reference_has_a_pass_for_its_difficulty(tmp_path, world, tiny_folder, monkeypatch):
    calls = forwards(monkeypatch)
    nll = {"name": "likely", "terms": [{"name": "nll", "kind": "nll"}]}
    for kind, cells in (("entropy", 1), ("margin", 2)):
        calls.clear()
        curriculum = {"difficulty": kind}
        folder = train(recipe_with(tmp_path / kind, world, tiny_folder, curriculum, objective=nll), "mcm", tiny_folder)
        assert calls == [2 * cells] * 6 + [cells]
        assert len(phases(folder)) == 3


def test_difficulty_by_the_meanings_of_sampled_answers(tmp_path, world, tiny_folder, monkeypatch):
    curriculum = {"difficulty": "semantic-entropy", "groups": 2, "answers": {"count": 3, "max_new_tokens": 6}}
    recipe = recipe_with(tmp_path / "out", world, tiny_folder, curriculum, limit=5)
    folder = train(recipe, "mcm", tiny_folder)
    files = [tmp_path / "out" / "reference" / f"mcm-answers-{draw}.jsonl" for draw in (1, 2, 3)]
    texts = [[json.loads(line)["text"] for line in file.read_text().splitlines()] for file in files]
    assert len({*texts[0], *texts[1], *texts[2]}) > 5  # of five samples

    def rouge(ours, theirs):
        return [rouge_l(one, other) for one, other in zip(ours, theirs, strict=True)]

    wanted = sorted(semantic_entropy(answers, rouge, 0.7) for answers in zip(*texts, strict=True))
    rows = phases(folder)
    assert [rows[0]["easiest"], rows[0]["hardest"], rows[1]["easiest"], rows[1]["hardest"]] == pytest.approx(
        [wanted[0], wanted[2], wanted[3], wanted[4]]
    )
    assert all(0 <= value <= math.log(3) + 1e-9 for value in wanted)
    (folder / "done.json").unlink()
    monkeypatch.setattr(writer, "grown", None)  # nothing is drawn again
    train(recipe, "mcm", tiny_folder)
    assert phases(folder) == rows


@pytest.mark.endurance
def test_meanings_by_a_text_encoder(tmp_path, world, tiny_folder):
    from transformers import BertConfig, BertModel, BertTokenizer

    from trifacet.metrics.bertscore import BertScorer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    BertTokenizer(vocab={word: place for place, word in enumerate(words)}).save_pretrained(tmp_path / "bert")
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(2)
    BertModel(BertConfig(vocab_size=len(words), **small)).save_pretrained(tmp_path / "bert")

    def run(name, encoder):
        answers = {"count": 3, "max_new_tokens": 6, "encoder": str(encoder), "layer": 2, "alike": 0.9}
        curriculum = {"difficulty": "semantic-entropy", "groups": 2, "answers": answers}
        return train(recipe_with(tmp_path / name, world, tiny_folder, curriculum, limit=5), "mcm", tiny_folder)

    told = [
        json.loads(line) for line in (run("out", tmp_path / "bert") / "difficulties.jsonl").read_text().splitlines()
    ]
    files = [tmp_path / "out" / "reference" / f"mcm-answers-{draw}.jsonl" for draw in (1, 2, 3)]
    texts = [[json.loads(line)["text"] for line in file.read_text().splitlines()] for file in files]
    scorer = BertScorer(str(tmp_path / "bert"), layer=2, device="cpu")
    wanted = [
        semantic_entropy(answers, lambda ours, theirs: [f1 for *_, f1 in scorer(ours, theirs)], 0.9)
        for answers in zip(*texts, strict=True)
    ]
    assert [line["difficulty"] for line in told] == pytest.approx(wanted)
    with pytest.raises(TrifacetError):
        run("none", tmp_path / "nowhere")
    assert not list((tmp_path / "none").rglob("*answers*"))  # known before anything is drawn


LINEAR = {"scheduler": "linear", "warmup": 0.0, "epochs": 2}


def test_a_schedule_that_restarts_has_its_peak_in_each_phase(trained):
    going_on = [line["learning_rate"] for line in log_of(trained({}, **LINEAR))]
    anew = [line["learning_rate"] for line in log_of(trained({"schedule": "restart"}, **LINEAR))]
    peak = SMALL["learning_rate"]
    assert going_on == pytest.approx([peak * (8 - step) / 8 for step in range(8)])
    assert anew == pytest.approx([peak * (steps - step) / steps for steps in (4, 2, 2) for step in range(steps)])


def test_an_optimizer_that_is_reset_forgets(trained):
    kept, reset = log_of(trained({}, **LINEAR)), log_of(trained({"optimizer": "reset"}, **LINEAR))
    same = [one["loss"] == other["loss"] for one, other in zip(kept, reset, strict=True)]
    border = phases(trained({}, **LINEAR))[1]["first_step"]
    assert same == [line["step"] <= border for line in kept]  # its first step goes another way


def test_a_fixed_reference_stays_the_start(trained):
    borders = {row["first_step"] for row in phases(trained({}, **LINEAR))[1:]}
    moved = {line["step"] for line in log_of(trained({}, **LINEAR)) if abs(line["loss"] - math.log(2)) > 2e-5}
    assert borders < moved


# --- stopped and started again ----------------------------------------------------------------------------------

ALL = {"reference": "previous", "optimizer": "reset", "schedule": "restart", "mixed": True, "epochs": [2, 1, 1]}
STOPS = {  # in the middle of a phase, at a border, and in the pass over a phase's samples
    "going on": ({"epochs": 2}, {}, [3, 4]),
    "renewed": (ALL, {}, ["phase-2", 5]),
    "renewed, often": (ALL, {}, [1, "phase-2", 4, 5, "phase-3", 7]),
    "online": (ALL, {"reference": "online"}, [4, 5, 8]),
    "in batch": (ALL, {"objective": "mdpo"}, [4, "phase-3", 8]),
    "resampled": ({"epochs": 2}, {"reference": "online", "objective": "mdpo"}, [3, 5]),
}
RECIPES = {"in batch": {"rejected.in_batch": True}, "resampled": {"rejected.resample": True}}


class Killed(BaseException):
    """What nothing in a training handles."""


@pytest.fixture
def stopping(monkeypatch):
    """A list: its first entry is the step, or the part of a pass's name, at which a training ends by ``Killed``."""
    at: list[int | str] = []
    compute, add = LatticeTrainer.compute_loss, ReferenceParts.add

    def computing(self, *arguments, **options):
        if at and self.state.global_step == at[0]:
            raise Killed
        return compute(self, *arguments, **options)

    def adding(self, *arguments):
        add(self, *arguments)
        if at and isinstance(at[0], str) and at[0] in self.folder.name and len(self.done) == 2:
            raise Killed

    monkeypatch.setattr(LatticeTrainer, "compute_loss", computing)
    monkeypatch.setattr(ReferenceParts, "add", adding)
    return at


@pytest.mark.parametrize("name", some(STOPS, "going on", "renewed"))
@pytest.mark.parametrize("save_every", some([1, 2, None], 2), ids=str)
def test_stopped_anywhere_it_ends_with_the_same_weights_bit_by_bit(
    tmp_path, world, tiny_folder, trained, stopping, name, save_every
):
    curriculum, stage, stops = STOPS[name]
    stage = {**stage, "save_every": save_every, "scheduler": "cosine", "warmup": 0.1}
    changes = {**LORA, **RECIPES.get(name, {})}
    whole = trained(curriculum, changes, **stage)
    recipe = recipe_with(tmp_path / "out", world, tiny_folder, curriculum, changes, **stage)
    for stop in stops:
        stopping[:] = [stop]
        with pytest.raises(Killed):
            train(recipe, "mcm", tiny_folder)
    stopping.clear()
    folder = train(recipe, "mcm", tiny_folder)
    assert_adapters_same(folder, whole)
    assert [line["step"] for line in log_of(folder)] == list(range(1, len(log_of(whole)) + 1))
    assert [line["loss"] for line in log_of(folder)] == [line["loss"] for line in log_of(whole)]
    assert phases(folder) == phases(whole)
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.endurance
@pytest.mark.parametrize("name", ["going on", "renewed", "online"])
def test_killed_as_a_process_it_ends_with_the_same_weights(tmp_path, world, tiny_folder, trained, name):
    curriculum, stage, _ = STOPS[name]
    stage = {**stage, "save_every": 2, "scheduler": "cosine", "warmup": 0.1}
    whole = trained(curriculum, LORA, **stage)
    values = {"sft": None, "align.mcm": {**SMALL, "curriculum": curriculum, **stage}, **LORA}
    recipe = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, values)
    folder = tmp_path / "out/models/mcm"
    seen = [
        (tmp_path / "out/reference/mcm-phase-2.parts").exists,
        (folder / "checkpoint-4/trainer_state.json").exists,
        (folder / "checkpoint-6").exists,
    ]
    for appears in seen[name != "renewed" :]:
        assert Command(tmp_path, "align", recipe).stop_when(appears, signal.SIGKILL) == -signal.SIGKILL
    assert Command(tmp_path, "align", recipe).wait() == 0
    assert_adapters_same(folder, whole)
    assert phases(folder) == phases(whole)


def assert_adapters_same(folder, other):
    ours, theirs = (load_file(one / "model/adapter_model.safetensors") for one in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_other_difficulties_are_another_training(tmp_path, world, tiny_folder, stopping):
    data = with_column(world, tmp_path, range(13))
    recipe = recipe_with(tmp_path / "out", data, tiny_folder, GIVEN, save_every=1)
    stopping[:] = [3]
    with pytest.raises(Killed):
        train(recipe, "mcm", tiny_folder)
    path = data / "preference.jsonl"
    path.write_text(path.read_text().replace('"hardness": 0', '"hardness": 99'))
    stopping.clear()
    with pytest.raises(TrifacetError, match="was made with other samples"):
        train(recipe, "mcm", tiny_folder)


@pytest.mark.parametrize("kind", some(["cache", "online"], "cache"))
def test_a_lost_reference_of_a_half_trained_phase_is_told(tmp_path, world, tiny_folder, stopping, kind):
    file = {"cache": "reference/mcm-phase-2.safetensors", "online": "models/mcm/previous.safetensors"}[kind]
    curriculum = {**ALL, "epochs": [1, 2, 1]}
    recipe = recipe_with(tmp_path, world, tiny_folder, curriculum, reference=kind, save_every=1)
    stopping[:] = [3]  # the first phase has two steps
    with pytest.raises(Killed):
        train(recipe, "mcm", tiny_folder)
    stopping.clear()
    (tmp_path / file).unlink()
    with pytest.raises(TrifacetError, match=r"half trained, cannot be used .*delete .*models/mcm to train"):
        train(recipe, "mcm", tiny_folder)


# --- bad input ----------------------------------------------------------------------------------------------------


def with_column(world, tmp_path, values):
    import shutil

    data = shutil.copytree(world, tmp_path / "data")
    path = data / "preference.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, value in zip(rows, values, strict=False):
        row["extra"] = {**row.get("extra", {}), **({} if value is None else {"hardness": value})}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


GIVEN = {"difficulty": "given", "column": "hardness"}


def test_a_given_column_orders_the_samples(tmp_path, world, tiny_folder, indices, monkeypatch):
    calls = forwards(monkeypatch)
    data = with_column(world, tmp_path, [-number for number in range(12)] + ["-12"])  # a text, as CSV has it
    train(recipe_with(tmp_path / "out", data, tiny_folder, GIVEN), "mcm", tiny_folder)
    assert sorted(flat(indices[:3])) == [8, 9, 10, 11, 12]
    assert sorted(flat(indices[-2:])) == [0, 1, 2, 3]
    assert len(calls) == 7


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "the difficulty is missing"),
        ("much", "the difficulty is 'much', not a finite number"),
        (True, "the difficulty is True, not a finite number"),
        (math.inf, "not a finite number"),
        ([1], r"\[1\], not a finite number"),
    ],
)
def test_a_column_that_is_missing_or_no_number(tmp_path, world, tiny_folder, monkeypatch, value, message):
    calls = forwards(monkeypatch)
    data = with_column(world, tmp_path, [1.0, 2.0, value, *[3.0] * 10])
    with pytest.raises(DataError, match=message) as caught:
        train(recipe_with(tmp_path / "out", data, tiny_folder, GIVEN), "mcm", tiny_folder)
    assert (caught.value.file, caught.value.row, caught.value.field) == (data / "preference.jsonl", 3, "hardness")
    assert caught.value.fix
    assert calls == []  # nothing was scored for it


def test_phases_without_samples_are_refused(tmp_path, world, tiny_folder, monkeypatch):
    calls = forwards(monkeypatch)
    with pytest.raises(TrifacetError, match="14 groups of 13 samples leave one without any"):
        train(recipe_with(tmp_path / "many", world, tiny_folder, {"groups": 14}), "mcm", tiny_folder)
    assert calls == []
    with pytest.raises(TrifacetError, match="no sample has a difficulty from 1000 to the most"):
        train(recipe_with(tmp_path / "far", world, tiny_folder, {"bounds": [1000.0]}), "mcm", tiny_folder)


def test_what_a_curriculum_cannot_go_with_is_refused(world, tiny_folder):
    with pytest.raises(ValueError, match="a curriculum counts the passes of each phase"):
        recipe_with("unused", world, tiny_folder, {}, max_steps=3)
