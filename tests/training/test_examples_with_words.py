"""Examples of samples whose rows say what stands in their pictures: of no effect until models are asked with it."""

import json
import shutil

import pytest
from PIL import Image
from small_runs import recipe_of

from trifacet.data.formats import read_samples
from trifacet.data.source import FilesRead, source_of
from trifacet.data.words_read import RECORD, asked_form, counted, record_lines
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.lettering.lines import Lettering, Line, Word
from trifacet.models.asking import WayOfAsking
from trifacet.training.sources import training_set
from trifacet.training.token_budget import token_budget
from trifacet.training.watching import as_post
from trifacet.training.words_read import read_words, splits_asked


@pytest.fixture
def stating(world, tmp_path):
    """A copy of the world whose pairs and posts say what stands in their pictures."""

    def make(words):
        folder = shutil.copytree(world, tmp_path / f"stating {len(list(tmp_path.iterdir()))}")
        for name in ("preference", "test"):
            rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
            for row in rows:
                row["extra"] = row.get("extra", {}) | {"lettering": words}
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    return make


def examples_of(folder, tiny, tiny_folder, **data):
    changes = {f"data.{key}": value for key, value in data.items()}
    recipe = recipe_of(folder / "out", folder, tiny_folder, changes)
    encoder = WayOfAsking.of(recipe.data).encoder(tiny.family)
    return training_set(recipe, "mcm", recipe.align["mcm"]).examples(encoder)[0]


def tokens_of(examples):
    return [path.tokens_L.tolist() for index in range(3) for path in examples[index].encoded.paths]


def made_with(folder, tiny, **data):
    encoder = WayOfAsking.of(recipe_of("out", folder, "m", {f"data.{k}": v for k, v in data.items()}).data).encoder(
        tiny.family
    )
    writer = FamilyWriter(tiny.model, encoder, Generation(beams=1), weights="w")
    return writer.made_with(read_samples(folder / "test.jsonl", "test"))


def test_left_alone_words_change_nothing_that_is_kept(world, stating, tiny, tiny_folder):
    folder = stating(["GRAND OPENING"])
    plain, with_words = (examples_of(one, tiny, tiny_folder) for one in (world, folder))
    assert with_words.fingerprint() == plain.fingerprint()
    assert json.loads(plain.fingerprint()["prompt and length"]) == [
        "Write alt-text for the image, given its context.", "Context:", 2048
    ]  # fmt: skip
    assert tokens_of(with_words) == tokens_of(plain)
    assert made_with(folder, tiny) == made_with(world, tiny)
    assert "words" not in made_with(folder, tiny)


def test_asked_with_they_are_part_of_what_scores_and_texts_depend_on(stating, tiny, tiny_folder):
    found = []
    for words, data in (
        ([], {}),
        (["GRAND OPENING"], {}),
        (["GRAND OPENINGS"], {}),
        (["GRAND OPENING"], {"lettering_label": "Read:"}),
        (["GRAND OPENING"], {"lettering_characters": 10}),
    ):
        folder, told = stating(words), {"lettering": "prompt", **data}
        examples = examples_of(folder, tiny, tiny_folder, **told)
        found.append((examples.fingerprint(), tokens_of(examples), made_with(folder, tiny, **told)))
        again = examples_of(folder, tiny, tiny_folder, **told)
        assert (again.fingerprint(), tokens_of(again)) == found[-1][:2]
        post = as_post(examples.samples[0])
        assert examples.encoder.asked(post).words == examples.encoder.asked(examples.samples[0]).words
    for part in range(3):
        assert all(one[part] != other[part] for n, one in enumerate(found) for other in found[:n])


def test_the_token_budget_counts_the_words(stating, tiny, tiny_folder):
    folder = stating(["GRAND OPENING", "Saturday 9 May"])
    samples = read_samples(folder / "preference.jsonl", "preference")[:2]
    sizes = {sample.image: (32, 32) for sample in samples}
    plain, asked = (
        token_budget(recipe_of("out", folder, tiny_folder, {"data.lettering": told}), samples, sizes).longest
        for told in ("leave", "prompt")
    )
    encoder = WayOfAsking.of(recipe_of("out", folder, "m", {"data.lettering": "prompt"}).data).encoder(tiny.family)
    block = '\nWords in the image:\n"GRAND OPENING"\n"Saturday 9 May"'
    assert asked - plain == pytest.approx(len(encoder.tokenizer(block, add_special_tokens=False)["input_ids"]), abs=2)
    assert asked > plain + 10


def test_a_runs_record_gives_samples_their_words_and_no_engine_is_opened(world, tmp_path, tiny_folder, monkeypatch):
    """As the processes of a run see it that have not read, and a report on another machine."""
    recipe = recipe_of(out := tmp_path / "out", world, tiny_folder, {"data.lettering": "prompt"})
    source = source_of(recipe.data, out, "preference")
    samples = source.read()
    assert not any("lettering" in one.extra for one in samples)
    word = Word(text="SALE", box=(0, 0, 9, 9))
    read = Lettering(size=(32, 32), lines=(Line(text="SALE", box=(0, 0, 9, 9), words=(word,)),))
    known = {source.digest_of(one.image): asked_form(read) for one in samples[:3]}
    (out / RECORD).parent.mkdir(parents=True)
    (out / RECORD).write_text(record_lines(known))
    names = {one.image for one in samples[:3]}
    for files in (source.files, FilesRead()):
        found = source_of(recipe.data, out, "preference", files=files).read()
        assert [one.extra.get("lettering") for one in found] == [
            {"size": [32, 32], "lines": [{"text": "SALE", "box": [0, 0, 9, 9]}]} if one.image in names else None
            for one in samples
        ]
    (out / RECORD).write_text(record_lines(known).replace("SALE", "SOLD"))  # not as it was written: not there
    assert not any("lettering" in one.extra for one in source_of(recipe.data, out, "preference").read())
    assert not any("lettering" in one.extra for one in source_of(recipe_of(out, world, "m").data, out, "sft").read())


def test_only_rows_that_are_asked_about_are_read(world, tmp_path, tiny_folder):
    limited = {"align.mcm.limit": 3, "align.two": {"objective": "dpo", "limit": 5}, "generate.limit": 2}
    recipe = recipe_of(tmp_path, world, tiny_folder, limited)
    assert splits_asked(recipe, texts=True) == {"sft": None, "preference": 5, "test": 2}
    assert splits_asked(recipe, texts=False) == {"sft": None, "preference": 5}
    watched = {"data.validation": "validation.jsonl", "sft.eval_every": 2, "sft.eval_samples": 4, "align.mcm.limit": 3}
    recipe = recipe_of(tmp_path, world, tiny_folder, watched)
    assert splits_asked(recipe, texts=True) == {"sft": None, "preference": 3, "validation": 4, "test": 2}


def test_what_came_of_reading_is_counted(tmp_path, tiny_folder, capsys):
    Image.new("RGB", (200, 50), "white").save(tmp_path / "a.png")
    stated = [["SALE"], ["A very long line of words"] * 40, [], None]
    unreadable = Lettering(size=(200, 50), unreadable=((0, 0, 9, 9),)).model_dump(mode="json")
    rows = [
        {"id": str(number), "image": "a.png", "context": "Post", "extra": {} if words is None else {"lettering": words}}
        for number, words in enumerate([*stated, unreadable])
    ] + [{"id": "x", "context": "A post without a picture"}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_of(tmp_path / "out", tmp_path, tiny_folder, {"data.lettering": "prompt"})
    source_of(recipe.data, recipe.folder, "test")
    told = read_words(recipe, {"test": None}, files := FilesRead(), keep=False)["test"]
    assert told.as_dict() == {"samples": 5, "words": 2, "cut": 1, "unreadable": 1, "stated": 4}
    line = "2 of 5 pictures have words, 1 more words than the request takes, 1 letters that cannot be read, "
    assert f"test: {line}4 words stated by their rows" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
    assert counted(source_of(recipe.data, recipe.folder, "test", files=files).read(), 400, 4) == told
