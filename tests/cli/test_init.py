"""``trifacet init`` writes recipes that load, fit their data and train."""

import json
import shutil

import pytest
from PIL import Image

from trifacet.cli.init import MODELS
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.training.recipe import load_recipe

ROW = {"id": "1", "image": "a.png", "context": "Our garden.", "response": "A red gate."}
PAIR = {**ROW, "rejected_responses": ["A dog."]}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (32, 32), "red").save(tmp_path / "photos" / "a.png")

    def write(row, name="pairs.jsonl"):
        (tmp_path / name).write_text(json.dumps(row) + "\n")
        return name

    return write


def init(trifacet, *options):
    code, said, told = trifacet("init", "--images", "photos", *options, "--overwrite")
    return code, said, told


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("memory", "full"), [(24, False), (0, False), (400, True)])
def test_a_recipe_fits_model_and_memory(trifacet, write, model, memory, full):
    code, said, told = init(trifacet, "--model", model, "--data", write(PAIR), "--memory", memory)
    assert (code, said) == (0, "trifacet run recipe.yaml\n"), told
    recipe = load_recipe("recipe.yaml")
    stage = recipe.align["mcm-dpo"]
    assert recipe.model.path == MODELS[model].path
    assert (recipe.model.lora is None, recipe.model.mixed_precision) == (full, full)
    assert recipe.model.paradigm == (4 if full else 1)
    assert recipe.model.dtype == ("bfloat16" if memory == 24 else "float32")
    assert stage.batch_size * stage.accumulation == 8
    assert (recipe.data.images, recipe.data.preference) == ("photos", "pairs.jsonl")


def test_a_model_that_does_not_fit_is_held_in_four_bits(trifacet, write):
    for memory in (16, 24):
        init(trifacet, "--model", "qwen2.5-vl-7b", "--data", write(PAIR), "--memory", memory)
        assert load_recipe("recipe.yaml").model.four_bit == (memory == 16)


@pytest.mark.parametrize(
    ("row", "asked", "objective"),
    [
        (PAIR, (), "mcm-dpo"),
        ({**PAIR, "context": ""}, (), "mdpo"),
        ({**PAIR, "context": "", "image": None}, (), "dpo"),
        (PAIR, ("--objective", "mcm-dpo-joint"), "mcm-dpo-joint"),
        (ROW, (), None),
    ],
)
def test_the_objective_is_that_of_what_the_data_have(trifacet, write, row, asked, objective):
    code, _, told = init(trifacet, "--model", "owner/any", "--data", write(row), "--memory", 24, *asked)
    assert code == 0, told
    recipe = load_recipe("recipe.yaml")
    assert recipe.stages == [objective or "sft"]
    if objective:
        assert recipe.align[objective].resolved_objective() == OBJECTIVES[objective]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "smolvlm", "--memory", 24), "say --data: file of the data"),
        (("--data", "pairs.jsonl", "--memory", 24), "say --model: model"),
        (("--model", "smolvml", "--data", "pairs.jsonl", "--memory", 24), "did you mean 'smolvlm'?"),
        (("--model", "a/b/c", "--data", "pairs.jsonl", "--memory", 24), "no such folder: 'a/b/c'"),
        (("--model", "photos", "--data", "pairs.jsonl", "--memory", 24), "config.json: no such file"),
        (("--model", "qwen2.5-vl-7b", "--data", "pairs.jsonl", "--memory", 8), "8 GiB are too little for Qwen/"),
        (("--model", "smolvlm", "--data", "none.jsonl", "--memory", 24), "none.jsonl: no such file"),
        (("--model", "smolvlm", "--data", "rows.jsonl", "--memory", 24, "--objective", "dpo"), "no rejected version"),
        (("--model", "smolvlm", "--data", "pairs.jsonl", "--memory", 24, "--objective", "dop"), "did you mean 'dpo'?"),
        (("--model", "smolvlm", "--data", "gone.jsonl", "--memory", 24), "b.png"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(trifacet, write, tmp_path, options, said):
    write(PAIR)
    write(ROW, "rows.jsonl")
    write({**PAIR, "image": "b.png"}, "gone.jsonl")
    code, _, told = init(trifacet, *options)
    assert code == 2 and said in told, told
    assert not (tmp_path / "recipe.yaml").exists()


@pytest.mark.parametrize("given", [True, False])
def test_mfpo_comes_with_its_regions_and_its_order(trifacet, write, tmp_path, given):
    row = {**PAIR, "extra": {"regions": [{"box": [1, 1, 9, 9]}]}} if given else PAIR
    (tmp_path / write(row)).write_text("".join(json.dumps({**row, "id": str(n)}) + "\n" for n in range(3)))
    code, _, told = init(trifacet, "--model", "smolvlm", "--data", "pairs.jsonl", "--memory", 24, "--objective", "mfpo")
    assert code == 0, told
    recipe = load_recipe("recipe.yaml")
    assert recipe.rejected.image.strategy == "region-diffusion"
    assert recipe.regions.locator.name == ("given" if given else "grounding-dino")
    assert recipe.align["mfpo"].curriculum.groups == 3


@pytest.mark.endurance
def test_a_recipe_trains(trifacet, tiny_folder, world, tmp_path, monkeypatch):
    from trifacet.runs.run import run_stages

    shutil.copytree(world, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    options = ("--model", tiny_folder, "--data", "data/preference.jsonl", "--test", "data/test.jsonl", "--memory", 0)
    code, _, told = trifacet("init", "mine.yaml", *options)
    assert code == 0, told
    assert trifacet("init", "mine.yaml", *options)[0] == 2  # it is there
    recipe = load_recipe("mine.yaml", ["align.mcm-dpo.max_steps=1"])
    assert recipe.data.test == "test.jsonl"
    (model,) = run_stages(recipe, recipe.stages)
    assert (model / "adapter_config.json").is_file()
