"""What a run shows, scores and hashes of its samples is what its stages train on."""

import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_runs import STAGE, recipe_of

from trifacet.data import source
from trifacet.data.formats import read_samples, write_samples
from trifacet.data.source import FilesRead
from trifacet.models.asking import WayOfAsking
from trifacet.preferences.facets import Facet
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen
from trifacet.runs.run import run_recipe
from trifacet.runs.steps import preview_rejected
from trifacet.training.batches import Groups
from trifacet.training.concerns import concerns
from trifacet.training.sources import training_set

SHORT = {**STAGE, "max_steps": 1}


@pytest.mark.parametrize("in_batch", [False, True])
def test_previews_show_the_donors_that_training_used(tmp_path, world, tiny_folder, in_batch):
    changes = {
        "sft": None, "data.test": None, "rejected.in_batch": in_batch, "rejected.image": {"strategy": "randomness"},
        "align.mcm": {**SHORT, "objective": "mcm-dpo", "limit": 8, "batch_size": 4},
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    run_recipe(recipe)
    index = json.loads((recipe.folder / "rejected/index.json").read_text())
    rows = [json.loads(line) for line in (world / "preference.jsonl").read_text().splitlines()]
    pictures = [Image.open(world / one["image"]).convert("RGB").tobytes() for one in rows]
    groups = Groups(8, 4, recipe.seed)
    assert len(index) == 6
    for number, entry in enumerate(index):
        shown = Image.open(recipe.folder / entry["rejected"]).tobytes()
        assert shown in pictures[:8]
        if in_batch:
            assert shown == pictures[groups.from_here(number)[1]]


def test_previews_show_all_versions(tmp_path, world, tiny_folder):
    changes = {
        "rejected.image": {"strategy": "random-region", "perturbation": "black", "versions": 2},
        "align.mcm": {**SHORT, "objective": "mdpo"},
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    preview_rejected(recipe, tiny_folder, FilesRead())
    index = json.loads((recipe.folder / "rejected/index.json").read_text())
    assert [one["strategy"] for one in index] == [f"random-region (black), version {k} of 2" for k in (1, 2)] * 6
    pictures = [Image.open(recipe.folder / one["rejected"]).tobytes() for one in index]
    assert len(set(pictures)) == 12


def test_a_run_parses_each_file_and_hashes_each_image_once(tmp_path, world, tiny_folder, monkeypatch):
    parsed, hashed = Counter(), Counter()
    parse, digest = source.iter_samples, source.file_digest

    def parsing(file, *arguments, **options):
        parsed[file.name] += 1
        return parse(file, *arguments, **options)

    def digesting(path):
        hashed[path.name] += path.suffix == ".png" and path.is_relative_to(world)
        return digest(path)

    monkeypatch.setattr(source, "iter_samples", parsing)
    monkeypatch.setattr(source, "file_digest", digesting)
    changes = {"sft": SHORT, "align.mcm": {**SHORT, "objective": "mcm-dpo"}, "align.dpo": {**SHORT, "objective": "dpo"}}
    run_recipe(recipe_of(tmp_path / "out", world, tiny_folder, changes))
    assert parsed == {"sft.jsonl": 1, "preference.jsonl": 1, "test.jsonl": 1}
    assert len(+hashed) == 16
    assert set((+hashed).values()) == {1}


def test_a_parquet_file_with_pictures_inside_is_trained_on_as_its_files_are(
    tmp_path, world, tiny_folder, tiny, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = [one for one in read_samples(world / "preference.jsonl", "preference") if one.image][:4]
    write_samples(pairs, tmp_path / "four.jsonl", "trl", "preference", prompt="Describe.")
    turn = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    said = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    texts = {"prompt": [f"Describe.\nContext:\n{one.context}" for one in pairs]}
    texts |= {"chosen": [one.response for one in pairs], "rejected": [one.rejected_responses[0] for one in pairs]}
    columns = {
        field: pa.array([[{"role": role, "content": text}] for text in texts[field]], turn)
        for field, role in said.items()
    }
    pictures = [[{"bytes": (world / one.image).read_bytes(), "path": "image.png"}] for one in pairs]
    inside = pa.array(pictures, pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    (tmp_path / "elsewhere").mkdir()
    pq.write_table(pa.table({**columns, "images": inside}), tmp_path / "elsewhere" / "four.parquet")
    found = []
    for root, name in ((world, str(tmp_path / "four.jsonl")), (tmp_path / "elsewhere", "four.parquet")):
        recipe = recipe_of(tmp_path / "out", root, tiny_folder, {"data.preference": name, "align.mcm.objective": "dpo"})
        examples, _ = training_set(recipe, "mcm", recipe.align["mcm"]).examples(
            WayOfAsking.of(recipe.data).encoder(tiny.family)
        )
        found.append([examples[index].encoded for index in range(4)])
    for ours, theirs in zip(*found, strict=True):
        for one, other in zip(ours.paths, theirs.paths, strict=True):
            assert (one.tokens_L == other.tokens_L).all()
        assert [image.key for image in ours.images] == [image.key for image in theirs.images]


def test_a_facet_that_many_samples_lack_is_said_with_its_terms_and_what_is_lost_with_its_rows():
    mcm = OBJECTIVES["mcm-dpo"]
    assert concerns(mcm, {Facet.CONTEXT: 10}, {}, 100) == []
    (few,) = concerns(mcm, {Facet.CONTEXT: 11}, {}, 100)
    assert few.startswith("11 of 100 samples lack a post: 4 of the 7 terms of objective 'mcm-dpo' do not apply to them")
    none, lost = concerns(mcm, {Facet.CONTEXT: 100, Facet.IMAGE: 3}, {"a 'name' of messages": 7}, 100)
    assert none.startswith("none of the samples has a post: 4 of the 7 terms")
    assert "(cpo, crpo, vcpo, mtpo)" in none
    assert lost == "lost from the data: a 'name' of messages (rows: 7)"


class Stripes(ImageStrategy):
    """As many white columns as the response has words."""

    name, sees_response = "stripes", True

    def reject(self, seen):
        made = Image.new("RGB", seen.picture.size)
        made.paste("white", (0, 0, len(seen.response.split()), seen.picture.height))
        return made


def test_a_recipe_names_a_strategy_of_ones_own(tmp_path, world, tiny, tiny_folder):
    changes = {"rejected.image": {"strategy": f"{__name__}:Stripes", "t": 500}}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    samples = training_set(recipe, "mcm", recipe.align["mcm"])
    examples, _ = samples.examples(WayOfAsking.of(recipe.data).encoder(tiny.family))
    for index in range(3):
        shown = examples.preview(index)
        words = len(examples.samples[index].response.split())
        assert sum(shown.getpixel((x, 0)) == (255, 255, 255) for x in range(shown.width)) == words
        assert examples.image_versions(index)[1].key == tiny.family.read(shown).key
    assert json.loads(examples.fingerprint()["rejected versions"])["image"]["strategy"] == "stripes"


def test_the_strategy_of_the_docs_works_as_it_stands():
    page = (Path(__file__).resolve().parents[2] / "docs" / "rejected-versions.md").read_text(encoding="utf-8")
    shown: dict = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], shown)
    picture = Image.new("RGB", (40, 30))
    seen = Seen(picture, "two words", Draw(1, "a"), lambda picture: None, (0.5,) * 3, (0.5,) * 3, lambda: picture)
    made = shown["Stripes"]().reject(seen)
    assert made.size == picture.size
    assert made.tobytes() != picture.tobytes()
