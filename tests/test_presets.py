"""Every preset loads, says how it is launched, and holds the paper's numbers (MCM-DPO, arXiv 2510.00647)."""

import re
from pathlib import Path

import pytest
import yaml

from trifacet.training.recipe import dump_recipe, load_recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
LAUNCHES = sorted((FOLDER / "accelerate").glob("*.yaml"))
BUILDS = sorted(path for path in FOLDER.glob("*.yaml") if "\nsteps:" in path.read_text(encoding="utf-8"))
EVOLVING = sorted(
    path for path in FOLDER.glob("*.yaml") if path.read_text(encoding="utf-8").startswith("# trifacet evolve")
)
PRESETS = sorted(set(FOLDER.rglob("*.yaml")) - set(LAUNCHES) - set(BUILDS) - set(EVOLVING))
ALIGNMENTS = ["dpo", "mdpo", "mcm-dpo", "mcm-dpo-joint"]
SINGLE, PAIR, MULTI = {"rpo", "vpo", "cpo"}, {"vrpo", "crpo", "vcpo"}, {"mtpo"}


def name_of(path):
    return path.relative_to(FOLDER).as_posix()


def preset(name, *overrides):
    return load_recipe(FOLDER / f"{name}.yaml", overrides)


def terms_of(stage):
    return {term.name for term in stage.resolved_objective().terms}


@pytest.mark.parametrize("path", PRESETS, ids=name_of)
def test_a_preset_loads_and_opens_with_its_command(path):
    recipe = load_recipe(path)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(rf"# trifacet (run|sft|align) recipes/{re.escape(name_of(path))}( |$)", first)
    assert recipe.sft or recipe.align
    for stage in recipe.align.values():
        assert stage.resolved_objective().active


@pytest.mark.parametrize("path", BUILDS, ids=name_of)
def test_a_build_recipe_loads_and_opens_with_its_command(path):
    from trifacet.building.recipe import load_build_recipe

    assert load_build_recipe(path).steps
    assert path.read_text(encoding="utf-8").startswith(f"# trifacet build recipes/{name_of(path)}\n")


@pytest.mark.parametrize("path", EVOLVING, ids=name_of)
def test_an_evolving_recipe_loads_can_be_run_and_opens_with_its_command(path):
    from trifacet.evolving.preparing import refuse_impossible
    from trifacet.evolving.settings import load_evolve_recipe

    recipe = load_evolve_recipe(path)
    refuse_impossible(recipe)
    for stage in filter(None, (recipe.rounds.generator, recipe.align)):
        assert stage.resolved_objective().active
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert re.match(rf"# trifacet evolve recipes/{re.escape(name_of(path))}( |$)", first)


def test_ipa_is_the_papers_as_far_as_it_is_published():
    from trifacet.evolving.settings import load_evolve_recipe

    for name in ("ipa-qwen2-vl-7b", "ipa-qwen2.5-vl-7b", "ipa-llava-1.5-7b"):
        recipe = load_evolve_recipe(FOLDER / f"{name}.yaml")
        assert (recipe.rounds.count, recipe.rounds.hard_only, recipe.revision.reference_from) == (3, True, 3)
        assert not recipe.sampling.reference
        assert recipe.sampling.strategies == ["diffusion", "blur", "downscale"]
        assert recipe.model.lora
        for stage in (recipe.rounds.generator, recipe.rounds.reviser, recipe.align):
            assert (stage.objective, stage.epochs) == ("dpo", 1)


@pytest.mark.parametrize("path", LAUNCHES, ids=name_of)
def test_a_launch_configuration_is_accelerates_and_opens_with_its_command(path):
    from accelerate.commands.config.config_args import load_config_from_file

    load_config_from_file(str(path))  # refuses unknown keys
    first = path.read_text(encoding="utf-8").splitlines()[0]
    command = (
        rf"# accelerate launch --config_file recipes/{re.escape(name_of(path))} -m trifacet run (recipes/\S+\.yaml)"
    )
    recipe = load_recipe(FOLDER.parent / re.match(command, first)[1])
    processes = yaml.safe_load(path.read_text(encoding="utf-8"))["num_processes"]
    assert all(stage.accumulation % processes == 0 for stage in recipe.align.values())


def test_no_two_presets_share_an_output_folder():
    outputs = [load_recipe(path).output for path in PRESETS]
    assert len(outputs) == len(set(outputs))


def test_studies_in_a_world_have_the_same_world_at_each_size():
    small, paper = preset("study").data.world, preset("study-llava-1.6-7b-world").data.world
    assert small.posts == paper.posts
    assert paper.sft > small.sft and paper.test > small.test


def test_objectives_of_studies_are_trained_as_the_paper_does():
    recipe, alone = preset("study-llava-1.6-7b"), preset("llava-1.6-7b-mcm-dpo").align["mcm-dpo"]
    assert recipe.sft == preset("llava-1.6-7b-sft").sft
    for stage in recipe.align.values():
        assert stage.model_copy(update={"objective": "mcm-dpo"}) == alone
    small = preset("study")
    assert recipe.align.keys() == small.align.keys()
    assert all(recipe.align[name].objective == small.align[name].objective for name in small.align)


def test_stage_one_is_the_papers():
    recipe = preset("llava-1.6-7b-sft")
    assert recipe.model.path == "llava-hf/llava-v1.6-vicuna-7b-hf"
    assert recipe.model.paradigm == 4
    assert recipe.model.lora is None
    assert recipe.model.mixed_precision  # bf16 arithmetic
    assert recipe.data.max_length == 2048
    sft = recipe.sft
    assert (sft.learning_rate, sft.epochs, sft.batch_size * sft.accumulation) == (2e-5, 1, 128)
    assert (sft.scheduler, sft.warmup, sft.weight_decay, sft.gradient_checkpointing) == ("cosine", 0.03, 0, True)
    assert (recipe.generate.beams, recipe.generate.temperature, recipe.generate.max_new_tokens) == (3, 0, 256)


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_stage_two_is_the_papers(name):
    recipe, first = preset(f"llava-1.6-7b-{name}"), preset("llava-1.6-7b-sft")
    stage = recipe.align[name]
    assert list(recipe.align) == [name]
    assert (stage.learning_rate, stage.epochs, stage.batch_size * stage.accumulation) == (5e-7, 3, 64)
    assert (stage.scheduler, stage.warmup, stage.weight_decay, stage.gradient_checkpointing) == (
        "cosine",
        0.03,
        0,
        True,
    )
    assert stage.resolved_objective().beta == 0.1
    assert stage.resolved_objective().name == name
    assert recipe.sft is None
    assert recipe.model.path == f"{first.output}/models/sft/model"  # where stage 1 leaves its model
    assert recipe.model.model_copy(update={"path": None}) == first.model.model_copy(update={"path": None})
    assert (recipe.data, recipe.generate) == (first.data, first.generate)


def test_the_weights_and_combinations_are_the_papers():
    separate = preset("llava-1.6-7b-mcm-dpo").align["mcm-dpo"].resolved_objective()
    joint = preset("llava-1.6-7b-mcm-dpo-joint").align["mcm-dpo-joint"].resolved_objective()
    for objective in (separate, joint):
        assert [term.weight for term in objective.terms] == [1.0, 0.5, 0.5, 0.2, 0.2, 0.2, 0.2]
    assert (separate.combine, joint.combine) == ("separate", "joint")


def test_rejected_images_are_the_papers():
    for name in ("mcm-dpo", "mcm-dpo-joint"):
        image = preset(f"llava-1.6-7b-{name}").rejected.image
        assert (image.strategy, image.t) == ("diffusion", 700)
    assert preset("llava-1.6-7b-mdpo").rejected.image.strategy == "small-crop"


@pytest.mark.parametrize("t", [300, 500, 700, 800, 1000])
def test_the_sweep_over_t_is_an_override(t):
    assert preset("llava-1.6-7b-mcm-dpo", f"rejected.image.t={t}").rejected.image.t == t


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("without-single", PAIR | MULTI),
        ("without-pair", SINGLE | MULTI),
        ("without-multi", SINGLE | PAIR),
        ("without-single-and-pair", MULTI),
        ("without-pair-and-cpo", {"rpo", "vpo"} | MULTI),
    ],
)
def test_ablations_differ_from_the_full_method_in_their_terms_alone(name, kept):
    recipe, full = preset(f"ablations/{name}"), preset("llava-1.6-7b-mcm-dpo")
    stage, whole = recipe.align["mcm-dpo"], full.align["mcm-dpo"]
    assert terms_of(stage) == kept
    assert terms_of(whole) == SINGLE | PAIR | MULTI
    weights = {term.name: term.weight for term in whole.resolved_objective().terms}
    assert all(term.weight == weights[term.name] for term in stage.resolved_objective().terms)
    same = {"name": full.name, "output": full.output, "align": full.align}
    assert dump_recipe(recipe.model_copy(update=same)) == dump_recipe(full)
    assert stage.model_copy(update={"objective": whole.objective}) == whole


def test_the_lora_preset_trains_adapters_with_the_papers_global_batches():
    recipe = preset("llava-1.6-7b-mcm-dpo-lora")
    assert recipe.model.lora
    stage = recipe.align["mcm-dpo"]
    assert recipe.sft.batch_size * recipe.sft.accumulation == 128
    assert stage.batch_size * stage.accumulation == 64
    assert terms_of(stage) == SINGLE | PAIR | MULTI


def test_an_own_objective_in_five_lines():
    text = (FOLDER / "own-objective.yaml").read_text(encoding="utf-8")
    definition = text[text.index("objective:\n") :].splitlines()[1:]
    assert len(definition) <= 5
    objective = preset("own-objective").align["dpo"].resolved_objective()
    assert [term.kind for term in objective.terms] == ["pair", "pair", "nll"]
