"""From the section to who looks: words by the policy's embeddings, locators with weights, and what makes them stale."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from searching import some
from tiny_families import MAKERS
from tiny_locators import clip, clipseg

from trifacet.models.loading import load_model, weights_fingerprint
from trifacet.regions.keywords.settings import KeyWords
from trifacet.regions.locating import Place
from trifacet.regions.opening import Words
from trifacet.regions.store import LINES, read_located

RESPONSES = ["A cat beside a red box.", "The dog of the photo.", "It is so."]


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(5)
    rows = []
    for number, response in enumerate(RESPONSES):
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(tmp_path / f"{number}.png")
        rows.append({"id": str(number), "image": f"{number}.png", "response": response, "rejected_responses": ["No."]})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def located(trifacet, data, output, *settings, options=()):
    sets = [word for one in settings for word in ("--set", one)]
    return trifacet("regions", data / "pairs.jsonl", "--output", data / output, *sets, *options)


def kept(folder):
    return {one.id: one for one in read_located(folder)}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.endurance)])
def test_from_words_to_masks_with_a_model(data, trifacet, workers):
    model = clipseg(data / "clipseg")
    ask = ("locator.name=clipseg", f"locator.model={model}", "locator.threshold=0.1", "locator.mask_threshold=0.4",
           "words.embeddings=none")  # fmt: skip
    code, _, said = located(trifacet, data, "one", *ask)
    assert code == 0, said
    found = kept(data / "one")
    assert [word.text for word in found["0"].words] == ["cat", "red box"]
    assert found["0"].status in ("located", "whole picture")
    assert found["2"].status == "no words"
    assert located(trifacet, data, "two", *ask, options=("--workers", workers))[0] == 0
    assert (data / "one" / LINES).read_bytes() == (data / "two" / LINES).read_bytes()
    file = model / "model.safetensors"
    weights = load_file(file)
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, file, metadata={"format": "pt"})
    code, _, said = located(trifacet, data, "one", *ask)
    assert code == 2
    assert "holds regions that were located otherwise: locator " in said
    code, _, said = located(trifacet, data, "two", *ask[:2], "locator.threshold=0.2", *ask[3:])
    assert code == 2
    assert "locator threshold 0.1 there, 0.2 now" in said


def test_words_by_the_policys_embeddings_and_where_it_looks(data, tiny_folder, trifacet):
    code, _, said = located(trifacet, data, "r", "locator.name=attention")
    assert code == 2
    assert "regions.words.embeddings: 'policy' needs the model that is to be aligned; name it (--model)" in said
    code, _, said = located(trifacet, data, "r", "locator.name=attention", options=("--model", tiny_folder))
    assert code == 0, said
    found = kept(data / "r")
    assert found["0"].status == "located"
    fingerprint = json.loads((data / "r" / "regions.json").read_text())["fingerprint"]
    assert fingerprint["words"]["weights"] and fingerprint["locator"]["weights"]


def test_a_locator_of_the_whole_response_needs_no_words(data, trifacet):
    model = clip(data / "clip")
    code, _, said = located(
        trifacet, data, "r", "locator.name=lowest-similarity", f"locator.model={model}", "locator.draws=3"
    )
    assert code == 0, said
    assert {one.status for one in kept(data / "r").values()} == {"located"}
    assert kept(data / "r")["2"].regions[0].word == ""


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("locator.name=owlv3",), "unknown locator 'owlv3'; did you mean 'owlv2'?"),
        (("locator.name=owlv2",), "regions.locator.model: locator 'owlv2'"),
        (("locator.name=owlv2", "locator.model=nowhere/at-all", "words.embeddings=none"), "nowhere/at-all"),
        (("words.k=0",), "words.k: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_opened_is_one_line(data, trifacet, monkeypatch, settings, told):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, said = located(trifacet, data, "r", *settings, "words.method=multipartite")
    assert code == 2, said
    assert told in said


def test_regions_of_the_data_for_key_words(data, trifacet):
    rows = [json.loads(line) for line in (data / "pairs.jsonl").read_text().splitlines()]
    rows[0]["extra"] = {"regions": [{"word": "boxes", "box": [1, 1, 9, 9]}, {"word": "tree", "box": [20, 20, 30, 30]}]}
    rows[1]["extra"] = {"regions": [{"box": [1, 1, 9, 9]}]}
    (data / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert located(trifacet, data, "r", "words.embeddings=none")[0] == 0
    found = kept(data / "r")
    assert [region.word for region in found["0"].regions] == ["red box"]
    assert found["0"].missing == ("cat",)
    assert [(region.word, found["1"].missing) for region in found["1"].regions] == [("", ())]


@pytest.mark.parametrize("name", some(MAKERS, "llava"))
def test_of_the_policy_its_embeddings_alone_are_read(name, family_folders, monkeypatch):
    table = load_model(family_folders(name), device="cpu").model.get_input_embeddings().weight
    monkeypatch.setattr("trifacet.models.loading.load_model", None)
    words = Words(KeyWords(), Place(Path(), Path(), 1, family_folders(name)))
    (vector,) = words.embed(["gate"])
    assert words.weights == weights_fingerprint(torch.nn.Embedding.from_pretrained(table))
    assert vector.shape == table.shape[1:]
