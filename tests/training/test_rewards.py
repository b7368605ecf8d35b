"""``trifacet rewards`` computes what training computes, sample by sample; ``trifacet diff`` whether it mattered."""

import json
import shutil
import statistics

import pytest
from safetensors.torch import load_file, save_file
from small_runs import STAGE, log_of, recipe_file

from trifacet.preferences.facets import Cell
from trifacet.training.rewards import cell_name

TERMS = ["rpo", "vpo", "cpo", "vrpo", "crpo", "vcpo", "mtpo"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, world, tiny_folder):
    """Two steps over all 16 samples: the first line of its log is that of the untouched model on all of them."""
    from trifacet.runs.run import run_stages
    from trifacet.training.recipe import load_recipe

    base = tmp_path_factory.mktemp("rewards")
    stage = {**STAGE, "objective": "mcm-dpo", "batch_size": 16, "max_steps": 2, "learning_rate": 1e-2}
    path = recipe_file(base, base / "out", world, tiny_folder, {"sft": None, "align.mcm": stage})
    run_stages(load_recipe(path), ["mcm"])
    return path, base / "out"


def test_the_rows_average_to_what_a_training_logs(trained, trifacet, tmp_path, tiny_folder):
    recipe, out = trained
    rows_file, summary = tmp_path / "rows.jsonl", tmp_path / "summary.json"
    model = out / "models/mcm/model"
    code, printed, said = trifacet("rewards", recipe, "--model", model, "--per-sample", rows_file, "--json", summary)
    assert code == 0
    assert "scores from" in said  # the cache of the run fits
    assert all(term in printed for term in TERMS)
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"preference-{number:05d}" for number in range(16)]
    found = json.loads(summary.read_text())
    assert (found["samples"], list(found["terms"])) == (16, TERMS)
    for row in rows:
        assert len(row["cells"]) == 8
        for name, other in (("rpo", "response"), ("vpo", "image"), ("mtpo", "image+context+response")):
            margin = row["cells"]["chosen"]["reward"] - row["cells"][other]["reward"]
            assert row["terms"][name]["margin"] == pytest.approx(margin, abs=1e-4)
            assert row["terms"][name]["accuracy"] == float(margin > 0)
    for name, term in found["terms"].items():
        margins = [row["terms"][name]["margin"] for row in rows]
        assert term["margin"] == pytest.approx(statistics.fmean(margins))
        assert term["spread"] == pytest.approx(statistics.stdev(margins))
    assert found["terms"]["rpo"]["accuracy"] > 0.6  # two large steps on these very samples

    code, printed, _ = trifacet("rewards", recipe, "--model", tiny_folder, "--reference", tiny_folder, "--json", "-")
    assert code == 0
    first = log_of(out / "models/mcm")[0]
    still = json.loads(printed)["terms"]
    for name in TERMS:
        assert still[name]["margin"] == pytest.approx(first[f"rewards/margins/{name}"], abs=1e-4)
        assert still[name]["loss"] == pytest.approx(first[f"loss/{name}"], abs=1e-4)


def test_without_a_cache_that_fits_the_reference_is_computed_to_the_same(trained, trifacet, tmp_path):
    recipe, out = trained
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    model = out / "models/mcm/model"
    assert trifacet("rewards", recipe, "--model", model, "--per-sample", one)[0] == 0
    cache = (out / "reference").rename(out / "elsewhere")
    code, _, said = trifacet(
        "rewards", recipe, "--model", model, "--per-sample", other, "--limit", 3, "--batch-size", 2
    )
    cache.rename(out / "reference")
    assert code == 0
    assert "scores from" not in said
    assert other.read_text().count("\n") == 3
    computed, cached = ([json.loads(line) for line in file.read_text().splitlines()] for file in (other, one))
    for ours, theirs in zip(computed, cached, strict=False):
        for cell, values in ours["cells"].items():
            for key in ("logp", "reference_logp", "tokens"):
                assert values[key] == pytest.approx(theirs["cells"][cell][key], abs=1e-4)


def test_other_objectives_and_splits(trained, trifacet, tiny_folder):
    recipe, out = trained
    model = out / "models/mcm/model"
    code, printed, _ = trifacet("rewards", recipe, "--model", model, "--objective", "mdpo", "--limit", 2, "--json", "-")
    assert (code, list(json.loads(printed)["terms"])) == (0, ["rpo", "vpo", "anchor"])
    code, printed, _ = trifacet(
        "rewards", recipe, "--model", model, "--objective", "sft", "--split", "sft", "--limit", 2, "--json", "-"
    )
    assert code == 0
    assert json.loads(printed)["terms"]["nll"]["margin"] is None
    assert json.loads(printed)["reference"] is None
    code, _, said = trifacet("rewards", recipe, "--model", model, "--objective", "mcm-dbo")
    assert (code, "did you mean 'mcm-dpo'?" in said) == (2, True)
    code, _, said = trifacet("rewards", recipe, "--model", model, "--split", "validation")
    assert (code, "data.validation" in said) == (2, True)


def test_cells_have_names():
    assert [cell_name(cell) for cell in (Cell(), Cell(1, 0, 1), Cell(2, 0, 1), Cell(0, 3, 0))] == [
        "chosen", "image+response", "image:2+response", "context:3",
    ]  # fmt: skip


def test_diff_says_what_changed_and_by_how_much(trained, trifacet, world, tiny_folder, tmp_path):
    _, out = trained
    model = out / "models/mcm/model"
    file = tmp_path / "diff.json"
    data = ("--data", world / "preference.jsonl", "--samples", 3)
    code, printed, _ = trifacet("diff", tiny_folder, model, "--json", file, *data)
    assert code == 0
    assert "language_model.layers.*.mlp.up_proj.weight" in printed
    assert "relative change of all" in printed
    found = json.loads(file.read_text())
    assert 0 < found["weights_changed"] == len(found["changes"]) < found["weights"]
    assert [sample["id"] for sample in found["samples"]] == [f"preference-{number:05d}" for number in range(3)]
    assert all(sample["change"] for sample in found["samples"])


def test_diff_of_a_model_with_itself_is_a_finding(trifacet, tiny_folder, world):
    code, printed, said = trifacet("diff", tiny_folder, tiny_folder, "--data", world / "test.jsonl", "--samples", 2)
    assert code == 1
    assert "nothing was learned" in said
    assert "0 of 79 weights differ" in printed
    assert "+0.0000" in printed


def test_diff_names_what_is_not_there(trifacet, tiny_folder, tmp_path):
    code, _, said = trifacet("diff", tiny_folder, tmp_path / "absent")
    assert (code, "no folder, and no checkpoint of the hub" in said) == (2, True)


def test_batches_that_lend_versions_find_their_cached_scores(trifacet, tmp_path, world, tiny_folder):
    changes = {"sft": None, "rejected.in_batch": True, "align.mcm": {**STAGE, "max_steps": 1, "limit": 8}}
    recipe = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, changes)
    assert trifacet("align", recipe)[0] == 0
    code, _, said = trifacet("rewards", recipe, "--model", tmp_path / "out/models/mcm/model")
    assert code == 0
    assert "scores from" in said


@pytest.mark.parametrize("which", ["--model", "--reference"])
def test_a_model_without_numbers_is_named(trained, trifacet, tmp_path, tiny_folder, which):
    weights = load_file(tiny_folder / "model.safetensors")
    spoilt = shutil.copytree(tiny_folder, tmp_path / "spoilt")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, spoilt / "model.safetensors")
    other = [one for one in ("--model", "--reference") if one != which]
    code, out, err = trifacet("rewards", trained[0], which, spoilt, *other, tiny_folder)
    assert (code, out) == (2, "")
    assert "spoilt/model.safetensors: weight" in err
    assert "holds NaN or infinity" in err
