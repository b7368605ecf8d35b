"""The experiment on pictures with signs: variants that share budget and data, files derived from the world's, and what
captions say of signs.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from lettering.experiment import ASKED, EXPERIMENT, VARIANTS, sign_measures
from variants import ALIGNED, SWEEP_SEED, Folders

from trifacet.data.records import TestSample
from trifacet.data.settings import World
from trifacet.demo.make import write_world

FOLDERS = Folders(Path("runs/signs"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folders = Folders(tmp_path_factory.mktemp("signs"))
    world = World(kind="signs", sft=20, preference=60, validation=1, test=1)
    write_world(folders.start(1) / "data", world, seed=1, image_size=96)
    return folders


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sample(name, words, **extra):
    sign = {"words": [{"text": word, "kind": "name", "box": [0, 0, 1, 1]} for word in words]}
    return TestSample(id=name, image="a.png", extra={"sign": sign, "objects": {}, **extra})


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_loads_and_starts_from_a_model_that_was_asked_alike(name):
    recipe = EXPERIMENT.variant_recipe(FOLDERS, name, 18)
    start = EXPERIMENT.start_recipe(FOLDERS, 18, EXPERIMENT.start_of(name))
    assert list(recipe.align) == [ALIGNED]
    assert recipe.model.path == str(start.folder / "models" / "sft" / "model")
    assert recipe.data.root == str(EXPERIMENT.start_recipe(FOLDERS, 18).folder / "data")
    assert recipe.data.lettering == start.data.lettering == ("prompt" if name.endswith(ASKED) else "leave")


def test_all_variants_have_one_budget():
    recipes = [EXPERIMENT.variant_recipe(FOLDERS, name, 18) for name in VARIANTS]
    budgets = {(one.align[ALIGNED].batch_size, one.align[ALIGNED].epochs, one.align[ALIGNED].limit) for one in recipes}
    assert len(budgets) == len({one.generate.model_dump_json() for one in recipes}) == 1
    assert len({one.name for one in recipes}) == len(VARIANTS)


def test_both_starts_have_one_base_model_and_one_budget():
    plain, asked = EXPERIMENT.start_recipe(FOLDERS, 18), EXPERIMENT.start_recipe(FOLDERS, 18, ASKED)
    assert asked.model.path == str(plain.folder / "models" / "base" / "model")
    assert asked.sft == plain.sft
    assert asked.generate == plain.generate


def test_the_world_of_a_seed_depends_on_the_seed_alone():
    one, other = (EXPERIMENT.start_recipe(FOLDERS, seed) for seed in (18, SWEEP_SEED))
    assert one.model_copy(update={"seed": SWEEP_SEED, "output": other.output}) == other
    assert one.data.world.kind == "signs"


def test_misread_pairs_differ_in_one_quoted_word_and_the_others_are_those_of_the_world(folders):
    EXPERIMENT.before(folders, "mcm-dpo-misread", 1)
    data = folders.start(1) / "data"
    before, after = rows(data / "preference.jsonl"), rows(data / "preference-misread.jsonl")
    assert len(before) == len(after)
    changed = [number for number, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert len(changed) == sum('"' in row["response"] for row in before[::2])
    for row in (after[number] for number in changed):
        chosen, rejected = row["response"].split('"'), row["rejected_responses"][0].split('"')
        assert (chosen[0], chosen[2]) == (rejected[0], rejected[2])
        words, others = chosen[1].split(), rejected[1].split()
        assert sum(word != other for word, other in zip(words, others, strict=True)) == 1
        assert row["extra"]["rejected_kind"] == "misread"


def test_supervised_rows_that_are_asked_have_the_words_of_the_sign(folders):
    EXPERIMENT.before(folders, ASKED, 1)
    data = folders.start(1) / "data"
    for plain, asked in zip(rows(data / "sft.jsonl"), rows(data / "sft-asked.jsonl"), strict=True):
        read = asked["extra"].pop("lettering")
        assert plain == asked
        assert [one["text"] for one in read] == [word["text"] for word in plain["extra"]["sign"]["words"]]


def test_what_captions_say_of_signs_is_counted_against_the_truth():
    samples = [sample("a", ["LUCY", "FRIDAY"]), sample("b", ["$5"]), sample("c", []), sample("d", ["OSCAR"])]
    texts = {
        "a": 'A red ball beside a sign that reads "LUCY MONDAY".',
        "b": 'A rug beside a sign that reads "$5".',
        "c": 'A kite beside a sign that reads "$50',
        "d": "A star.",
    }
    found = {name: measure.value for name, measure in sign_measures(texts, samples).items()}
    assert found["signs/recall"] == pytest.approx(100 * 2 / 4)
    assert found["signs/invented"] == pytest.approx(100 * 2 / 4)
    assert found["signs/invented_s"] == 50
    assert found["signs/exact"] == 25
    assert sign_measures(texts, [*samples, TestSample(id="q", image="a.png", extra={})])["signs/exact"].value == 25
