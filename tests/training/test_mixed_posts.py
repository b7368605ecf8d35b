"""Training on a set of posts with one image, with several and without."""

import shutil

import pytest
from small_runs import STAGE, log_of, recipe_of, train, weights_of

from trifacet.data.formats import read_samples, write_samples
from trifacet.models.loading import load_model
from trifacet.training.outcome import check_outcome
from trifacet.training.sources import Start
from trifacet.training.stage import stage_of
from trifacet.training.stages import train_stage
from trifacet.training.token_budget import token_budget


@pytest.fixture(scope="module")
def mixed_world(tmp_path_factory, world):
    """The world's files, every second post without an image or with up to three."""
    folder = tmp_path_factory.mktemp("mixed")
    shutil.copytree(world / "images", folder / "images")
    for kind in ("sft", "preference", "test"):
        samples = read_samples(world / f"{kind}.jsonl", kind)
        paths = [sample.image for sample in samples]
        changed = []
        for number, sample in enumerate(samples):
            further = tuple(paths[(number + step) % len(paths)] for step in (1, 2)[: number % 3])
            update = {"image": None} if number % 4 == 0 else {"more_images": further}
            changed.append(sample.model_copy(update=update))
        assert {len(sample.pictures) for sample in changed} == {0, 1, 2, 3}
        write_samples(changed, folder / f"{kind}.jsonl", "trifacet", kind)
    return folder


CHANGES = {"model.paradigm": 1, "align.mcm": {**STAGE, "objective": "mcm-dpo", "learning_rate": 1e-4, "batch_size": 3}}


@pytest.mark.parametrize("name", ["sft", "mcm"])
def test_trie_and_one_by_one_take_the_same_way(tmp_path, mixed_world, tiny_folder, name):
    folders = []
    for trie in (True, False):
        changes = {**CHANGES, "sft.learning_rate": 1e-4, "model.trie": trie}
        folders.append(train(recipe_of(tmp_path / str(trie), mixed_world, tiny_folder, changes), name, tiny_folder))
    for ours, theirs in zip(*map(log_of, folders), strict=True):
        for key in ("loss", "grad_norm"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4)
    plain, before = weights_of(folders[1]), load_model(tiny_folder).model.state_dict()
    for key, weight in weights_of(folders[0]).items():
        if not key.endswith("k_proj.bias"):  # of no effect in a softmax: Adam makes steps of its rounding errors
            assert (weight - plain[key]).norm() <= 1e-4 * plain[key].norm() + 1e-6, key
    projector = [key for key in plain if "projector" in key]
    assert any((plain[key] != before[key]).any() for key in projector)


def test_a_set_without_any_image_is_aligned_by_the_terms_that_remain(tmp_path, mixed_world, tiny_folder, capsys):
    (tmp_path / "data").mkdir()
    samples = read_samples(mixed_world / "preference.jsonl", "preference")
    bare = [sample.model_copy(update={"image": None, "more_images": ()}) for sample in samples]
    write_samples(bare, tmp_path / "data" / "preference.jsonl", "trl", "preference")
    recipe = recipe_of(tmp_path / "out", tmp_path / "data", tiny_folder, {**CHANGES, "sft": None})
    stage = stage_of(recipe, "mcm", Start("base", tiny_folder))
    said = ["none of the samples has an image: 4 of the 7 terms of objective 'mcm-dpo' do not apply to any "
            "(vpo, vrpo, vcpo, mtpo); give each its image, or use an objective without these terms"]  # fmt: skip
    assert train_stage(stage)["concerns"] == said
    lines = log_of(stage.folder)
    assert {key for key in lines[0] if key.startswith("loss/")} == {"loss/rpo", "loss/cpo", "loss/crpo"}
    assert [line.get("warnings") for line in lines[:2]] == [said, None]
    assert "none of the samples has an image" in " ".join(capsys.readouterr().err.split())
    assert check_outcome(stage)["warnings"][:1] == said  # which the report shows


def test_the_token_budget_counts_every_image(tmp_path, mixed_world, tiny_folder):
    recipe = recipe_of(tmp_path, mixed_world, tiny_folder)
    (sample,) = [s for s in read_samples(mixed_world / "test.jsonl", "test") if len(s.pictures) == 3][:1]
    one, none = sample.model_copy(update={"more_images": ()}), {"more_images": (), "image": None}
    sizes = dict.fromkeys(sample.pictures, (32, 32))
    lengths = [token_budget(recipe, [s], sizes).longest for s in (sample, one, sample.model_copy(update=none))]
    assert lengths[0] - lengths[1] == 2 * (lengths[1] - lengths[2])
