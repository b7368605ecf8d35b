"""Key regions in a run: located once before the first alignment that looks at them, kept, counted, and never stale."""

import json
import shutil

import numpy as np
import pytest
from small_runs import STAGE, recipe_file, recipe_of

from trifacet import ImageStrategy
from trifacet.base.errors import DataError, TrifacetError
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model
from trifacet.preferences.rejected.masks import box_mask
from trifacet.regions.store import LINES, MARK, Masks
from trifacet.reports.run.report import write_report
from trifacet.runs.run import run_stages
from trifacet.training.sources import training_set


class Spoilt(ImageStrategy):
    """Looks at regions, in name at least."""

    name = "spoilt"
    needs_regions = sees_regions = True

    def reject(self, seen):
        return seen.picture.rotate(180)


STAGES = {
    "align": {"one": {**STAGE, "max_steps": 1, "objective": "mdpo"}, "text": {**STAGE, "objective": "dpo"}},
    "sft": None,
    "rejected": {"image": {"strategy": f"{__name__}:Spoilt"}},
}


@pytest.fixture
def data(unscored_world, tmp_path):
    """A world whose first pairs give a box, a box around everything, and one without a name."""
    folder = shutil.copytree(unscored_world, tmp_path / "data")
    rows = [json.loads(line) for line in (folder / "preference.jsonl").read_text().splitlines()][:6]
    boxes = [[2, 3, 12, 13], [0, 0, 500, 500], [20, 20, 30, 25]]
    for row, box in zip(rows, boxes, strict=False):
        row["extra"] = row.get("extra", {}) | {"regions": [{"word": "thing", "box": box}]}
    (folder / "preference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_run_locates_counts_and_goes_on(data, tiny_folder, tmp_path, trifacet):
    path = recipe_file(tmp_path, tmp_path / "out", data, tiny_folder, {**STAGES, "regions": {}})
    code, _, said = trifacet("align", path, "--only", "one")
    assert code == 0, said
    assert "regions: 2 samples with regions" in said
    assert "global noise: 3 nothing found, 1 whole picture" in said
    folder = tmp_path / "out" / "regions"
    done = json.loads((tmp_path / "out" / "models" / "one" / "done.json").read_text())
    share = (100 + 50) / 2 / 32**2
    assert done["regions"] == {
        "located": 2, "global noise": {"nothing found": 3, "whole picture": 1},
        "mean area": pytest.approx(share, abs=1e-5),
    }  # fmt: skip
    page = write_report(tmp_path / "out").read_text()
    assert "2 samples have key regions, which cover 7.3% of the picture in the mean." in page
    assert "The others have noise over their whole picture: 3 nothing found, 1 whole picture." in page
    sealed = json.loads((tmp_path / "out" / "run.json").read_text())["sealed"]
    assert {f"regions/{name}" for name in (LINES, MARK)} <= set(sealed)
    before = (folder / LINES).read_bytes()
    written = (folder / LINES).stat().st_mtime_ns
    assert trifacet("align", path, "--only", "one")[0] == 0
    assert (folder / LINES).stat().st_mtime_ns == written
    (folder / LINES).write_bytes(before[:-40])  # a disk that lost some
    code, _, said = trifacet("align", path, "--only", "one")
    assert code == 0, said
    assert "made again" in said
    assert (folder / LINES).read_bytes() == before
    code, _, said = trifacet("align", path, "--only", "one", "--overwrite", "--set", "align.one.limit=2")
    assert code == 0, said
    assert len((folder / LINES).read_bytes().splitlines()) == 2


def test_only_alignments_that_reject_images_look(data, tiny_folder, tmp_path):
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, {**STAGES, "regions": {}})
    run_stages(recipe, ["text"])
    assert not (tmp_path / "out" / "regions").exists()
    done = json.loads((tmp_path / "out" / "models" / "text" / "done.json").read_text())
    assert "regions" not in done


def test_masks_reach_the_samples(data, tiny_folder, tmp_path, trifacet):
    file = tmp_path / "located"
    assert trifacet("regions", data / "preference.jsonl", "--output", file)[0] == 0
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, {**STAGES, "regions": {"file": str(file)}})
    samples = training_set(recipe, "one", recipe.align["one"])
    masks = samples.rejection.masks
    assert isinstance(masks, Masks)
    assert masks.fingerprint == json.loads((file / MARK).read_text())["sha256"]
    first, second, third, *_ = samples.source.read()
    assert np.array_equal(masks(first), box_mask((32, 32), (2, 3, 12, 13)))
    assert masks(second) is None
    assert masks(third).sum() == 50
    assert training_set(recipe, "text", recipe.align["text"]).rejection.masks is None


def test_a_file_of_other_data_is_refused(data, tiny_folder, tmp_path, trifacet):
    file = tmp_path / "located"
    assert trifacet("regions", data / "preference.jsonl", "--output", file, "--limit", 2)[0] == 0
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, {**STAGES, "regions": {"file": str(file)}})
    with pytest.raises(DataError, match=r"preference.jsonl, row 3: sample .* has no line in .*regions.jsonl"):
        run_stages(recipe, ["one"])
    few = recipe.model_copy(update={"align": {"one": recipe.align["one"].model_copy(update={"limit": 2})}})
    text = (data / "preference.jsonl").read_text()
    (data / "preference.jsonl").write_text(text.replace("[2, 3, 12, 13]", "[2, 3, 12, 14]"))
    with pytest.raises(DataError, match=r"row 1: sample .* is not the one whose regions .*: regions .* there"):
        run_stages(few, ["one"])
    (data / "preference.jsonl").write_text(text)
    run_stages(few, ["one"])
    assert not (tmp_path / "out" / "regions").exists()


def test_a_strategy_that_needs_regions_needs_the_section(data, tiny_folder, tmp_path):
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, STAGES)
    with pytest.raises(TrifacetError, match=r"Spoilt changes the key regions .* add a section such as regions: \{\}"):
        run_stages(recipe, ["one"])
    assert not (tmp_path / "out").exists()
    run_stages(
        recipe_of(tmp_path / "out", data, tiny_folder, {**STAGES, "align": {"text": STAGES["align"]["text"]}}), ["text"]
    )


def test_only_the_regions_of_the_rejected_image_differ(data, tiny_folder, tmp_path):
    """The whole way: rows, store, masks, strategy, a stage that is trained; cached scores know the masks."""
    changes = {**STAGES, "rejected": {"image": {"strategy": "region-black"}}, "regions": {}}
    recipe = recipe_of(tmp_path / "out", data, tiny_folder, changes)
    run_stages(recipe, ["one"])
    done = json.loads((tmp_path / "out" / "models" / "one" / "done.json").read_text())
    assert done["regions"]["located"] == 2
    loaded = load_model(tiny_folder)
    examples, _ = training_set(recipe, "one", recipe.align["one"]).examples(
        WayOfAsking.of(recipe.data).encoder(loaded.family)
    )
    chosen, rejected = (np.asarray(picture) for picture in (examples.picture(0), examples.preview(0)))
    mask = box_mask((32, 32), (2, 3, 12, 13))
    assert np.array_equal(chosen[~mask], rejected[~mask])
    assert not rejected[mask].any()
    assert "regions" in json.loads(examples.fingerprint()["rejected versions"])
