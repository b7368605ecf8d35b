"""``trifacet probe`` on a tiny checkpoint: all looks, their numbers in agreement, and bad input."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_families import MAKERS

from trifacet.base.errors import TrifacetError
from trifacet.data.formats import read_samples
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.models.loading import load_model, load_processor
from trifacet.preferences.rejected.images import image_strategy
from trifacet.preferences.rejected.strategy import Draw, Seen
from trifacet.probing.document import read_document
from trifacet.probing.measuring import probe_measures
from trifacet.probing.noise import noise_measures, noised, plain, similarity
from trifacet.probing.probe import Looks, Prober
from trifacet.probing.vectors import Vectors
from trifacet.reports.probes import write_page

LOOKS = Looks(steps=(0, 900), max_new_tokens=6, batch_size=3)


def encoder_of(loaded):
    return SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)


def prober(loaded, samples, root, looks=LOOKS, references=None):
    own = {sample.id: sample.references[0] for sample in samples if sample.references}
    return Prober(loaded, encoder_of(loaded), samples, own if references is None else references, root, looks)


@pytest.fixture(scope="module")
def samples(world):
    """With a post without a picture and one without words among them."""
    samples = read_samples(world / "test.jsonl", "test")[:5]
    first, second, *others = samples
    return [
        first.model_copy(update={"image": None}),
        second.model_copy(update={"context": "", "more_images": (others[0].image,)}),
        *others,
    ]


@pytest.fixture(scope="module")
def probed(tiny_folder, samples, world):
    return prober(load_model(tiny_folder), samples, world).probe(model="tiny", data="test.jsonl")


def test_without_noise_no_answer_changes_and_noise_changes_pictures_only(probed, samples):
    document, _ = probed
    none, heavy = document.noise
    assert (none.t, none.kept, none.samples, none.changed, none.changed_count) == (0, 1.0, 4, 0.0, 0)
    assert none.similarity == 1.0
    assert none.grounding.drop == 0.0
    assert heavy.changed_count > 0
    assert heavy.similarity < 1
    assert heavy.grounding.drop == pytest.approx(heavy.grounding.clean - heavy.grounding.noised)
    by_row = {row.id: row for row in document.per_sample}
    assert by_row[samples[0].id].noised == {}  # it shows no picture
    changed = [plain(row.noised["900"]) != plain(row.generated) for row in document.per_sample if row.noised]
    assert heavy.changed == pytest.approx(np.mean(changed))
    assert all(row.noised["0"] == row.generated for row in document.per_sample if row.noised)


def test_shares_sum_to_one_and_are_the_means_of_the_rows(probed, samples):
    attention = probed[0].attention
    assert (attention.samples, attention.left_out) == (5, 0)
    assert (attention.without_image, attention.without_context) == (1, 1)
    shares = attention.shares.model_dump()
    for four in (
        shares,
        attention.token_shares.model_dump(),
        *(row.shares.model_dump() for row in attention.per_layer),
    ):
        assert sum(four.values()) == pytest.approx(1)
    for name, share in shares.items():
        assert share == pytest.approx(np.mean([getattr(row.attention, name) for row in probed[0].per_sample]))
        assert share == pytest.approx(np.mean([getattr(row.shares, name) for row in attention.per_layer]))
        low, high = getattr(attention.intervals, name)
        assert low <= share <= high
        assert getattr(attention.relative, name) == pytest.approx(share / getattr(attention.token_shares, name))
    assert probed[0].per_sample[0].attention.image == 0
    assert probed[0].per_sample[1].attention.context == 0


def test_measures_of_a_document_have_its_values(probed):
    document = probed[0].model_dump()
    values = {measure.name: measure.value for measure in probe_measures(document)}
    expected = {f"attention/{group}": share for group, share in document["attention"]["shares"].items()}
    for noise in document["noise"]:
        expected[f"changed/t={noise['t']}"] = noise["changed"]
        expected[f"similarity/t={noise['t']}"] = noise["similarity"]
    assert values == pytest.approx(expected)
    assert probe_measures({**document, "attention": None, "noise": None}) == []


@pytest.mark.parametrize("name", MAKERS)
def test_noise_keeps_the_layout_of_every_family(name, family_folders, photos):
    family = load_processor(family_folders(name), image_tiles="any")
    image = family.read(Image.open(photos / "1.png"))
    sample = TestSample(id="x", image="1.png")
    (same,), (heavy,) = noised(family, 0, 1)(sample, (image,)), noised(family, 900, 1)(sample, (image,))
    assert same.key == image.key
    assert heavy.layout == image.layout
    assert heavy.pixel_values.shape == image.pixel_values.shape
    kept = np.corrcoef(family.frames(image).flatten(), family.frames(heavy).flatten())[0, 1]
    assert abs(kept) < 0.75  # of a picture at unit variance the square root of .133 would stay


def test_texts_equal_to_their_references_lie_on_them(tiny_folder, samples, world, probed):
    written = {row.id: row.generated for row in probed[0].per_sample}
    looks = replace(LOOKS, steps=(), attention=False)
    document, _ = prober(load_model(tiny_folder), samples, world, looks, written).probe(model="a", data="b")
    distances = {name: distance.value for name, distance in document.embeddings.distances.items()}
    assert distances["euclidean"] == distances["cosine"] == distances["centroids"] == 0
    assert all(pair.generated == pair.reference for pair in document.embeddings.points)
    assert document.attention is document.noise is None
    far = probed[0].embeddings
    assert far.distances["euclidean"].value > 1e-3
    assert far.joint is None
    _, others = probed
    shared, _ = prober(load_model(tiny_folder), samples, world, looks, written).probe(
        model="a", data="b", others=[others]
    )
    assert [cloud.model for cloud in shared.embeddings.joint.models] == ["tiny", "a"]
    assert len(shared.embeddings.joint.models[0].points) == 5


@pytest.mark.parametrize(
    ("names", "width", "problem"),
    [(["other"], 48, "other samples"), (None, 47, "47 values and this model's 48")],
)
def test_vectors_of_other_samples_or_another_width_are_refused(tiny_folder, samples, world, names, width, problem):
    ids = names or [sample.id for sample in samples]
    states = np.zeros((len(ids), width), dtype=np.float32)
    with pytest.raises(TrifacetError, match=problem):
        prober(load_model(tiny_folder), samples, world, replace(LOOKS, steps=(), attention=False)).probe(
            model="a", data="b", others=[Vectors("sft", tuple(ids), states, states)]
        )


def test_a_sample_that_one_model_has_no_text_for_is_left_out_of_the_joint_plane(tiny_folder, samples, world, probed):
    looks = replace(LOOKS, steps=(), attention=False)
    some = {sample.id: sample.references[0] for sample in samples[1:]}
    document, _ = prober(load_model(tiny_folder), samples, world, looks, some).probe(
        model="a", data="b", others=[probed[1]]
    )
    clouds = document.embeddings.joint.models
    assert [[pair.id for pair in cloud.points] for cloud in clouds] == [[sample.id for sample in samples[1:]]] * 2
    assert any("joint plane holds 4 of 5 samples" in note for note in document.notes)
    assert not any("joint plane" in note for note in probed[0].notes)


@pytest.mark.parametrize("looks", [{"attention": False}, {"embeddings": False}])
def test_a_model_that_computes_no_numbers_is_told_of(tiny_folder, samples, world, looks):
    loaded = load_model(tiny_folder)
    with torch.no_grad():
        next(weight for name, weight in loaded.model.named_parameters() if "down_proj" in name).fill_(torch.nan)
    with pytest.raises(TrifacetError, match=rf"sample '{samples[0].id}'.*not finite in float32"):
        prober(loaded, samples, world, replace(LOOKS, steps=(), text="reference", **looks)).probe(model="a", data="b")


def test_a_reference_that_does_not_fit_is_told_before_texts_are_written(tiny_folder, samples, world):
    notes = []
    one = prober(load_model(tiny_folder), samples, world, references={samples[3].id: "word " * 3000})
    one.on_progress = lambda done, total, note: notes.append(note)
    with pytest.raises(TrifacetError, match=rf"sample '{samples[3].id}'.*take"):
        one.probe(model="a", data="b")
    assert "writing texts" not in notes


def test_reference_texts_are_looked_at_where_asked(tiny_folder, samples, world):
    looks = replace(LOOKS, steps=(), embeddings=False, text="reference")
    some = samples[1].model_copy(update={"references": ()})
    document, vectors = prober(load_model(tiny_folder), [samples[0], some], world, looks).probe(model="a", data="b")
    assert vectors is None
    assert (document.attention.samples, document.attention.left_out) == (1, 1)
    assert document.notes == ["1 of 2 samples have no reference, or no token in it"]
    assert document.per_sample[0].generated is None  # nothing had to be written
    nothing, _ = prober(load_model(tiny_folder), [some], world, replace(looks, embeddings=True)).probe(
        model="a", data="b"
    )
    assert nothing.attention is nothing.embeddings is None
    assert len(nothing.notes) == 2


def test_the_noise_is_that_of_rejected_images(tiny, photos):
    picture = Image.open(photos / "2.png")
    image = tiny.family.read(picture)
    sample = TestSample(id="x", image="2.png")
    (seen, second) = noised(tiny.family, 700, 5)(sample, (image, image))
    strategy_sees = Seen(picture, "", Draw(5, "x"), lambda _: tiny.family.frames(image), (), (), lambda: picture)
    expected = image_strategy("diffusion", 700).reject(strategy_sees)
    assert (tiny.family.frames(seen) == expected).all()
    assert seen.key != second.key
    assert noised(tiny.family, 0, 5)(sample, (image,))[0].key == image.key


def test_what_counts_as_a_change():
    assert plain(" A  Cat\n") == plain("a cat")
    assert similarity("A cat", "a  CAT") == 1.0
    assert similarity("", "") == 1.0
    assert similarity("a cat sits", "a dog sits") == pytest.approx(2 / 3)
    samples = [TestSample(id=name, extra={"facts": {"animal": ["cat"]}} if name == "b" else {}) for name in "ab"]
    measures = noise_measures({"a": "x", "b": "a cat"}, {"a": "X ", "b": "a dog"}, samples)
    values = {name: measure.value for name, measure in measures.items()}
    assert values["changed"] == 0.5
    assert (values["clean"], values["noised"], values["drop"]) == (1, 0, 1)


def test_the_command_writes_document_vectors_page_and_table(trifacet, tiny_folder, world, tmp_path):
    command = ("probe", world / "test.jsonl", "--model", tiny_folder, "--limit", "3", "--max-new-tokens", "5",
               "--device", "cpu", "--name", "one")  # fmt: skip
    output, vectors, page = (tmp_path / name for name in ("p.json", "p.safetensors", "p.html"))
    code, out, _ = trifacet(*command, "--output", output, "--vectors", vectors, "--json", "-")
    assert code == 0
    summary = json.loads(out)
    document = read_document(output)
    assert summary["attention"] == document["attention"]
    assert [noise["t"] for noise in document["noise"]] == [500, 900]
    assert "per_sample" not in summary
    assert len(document["per_sample"]) == 3
    code, out, _ = trifacet(
        *command, "--no-noise", "--output", tmp_path / "q.json", "--joint", vectors, "--html", page, "--beside", output
    )
    assert code == 0
    assert "attention to image" in out
    assert page.read_text().count("<svg") > 3
    assert "3 samples of <bdi>test.jsonl</bdi>.</p>" in page.read_text()
    write_page({"p": document, "q": {**document, "samples": 9, "data": "<other>"}}, page)
    assert "3 samples of <bdi>test.jsonl</bdi>; 9 samples of <bdi>&lt;other&gt;</bdi>.</p>" in page.read_text()
    other = json.loads(json.dumps(document | {"noise": [{"t": 1001}]}))
    output.write_text(json.dumps(other))
    for arguments, message in (
        (("--steps", "1,x"), "no list of numbers"),
        (("--steps", "1001"), "t = 1001 does not exist"),
        (("--no-attention", "--no-noise", "--no-embeddings"), "nothing to look at"),
        (("--no-embeddings", "--joint", vectors), "about embeddings"),
        (("--seed", "-1"), "greater than or equal to 0"),  # no interval could be drawn
        (("--vectors", tmp_path), "is a folder"),
        (("--html", tmp_path / "sub" / ".." / "r.json"), "--output and --html both name"),
        (("--beside", output), "say where with --html"),
        (("--beside", output, "--html", page), "noise.0.t"),
        (("--references", output), "format is not known"),
        (("--joint", output), "holds no vectors"),
    ):
        code, _, problem = trifacet(*command, "--output", tmp_path / "r.json", *arguments)
        assert code == 2, arguments
        assert message in problem
    assert not (tmp_path / "r.json").exists()
    os.mkfifo(tmp_path / "pipe")  # as with a device, which a file must never replace
    code, _, problem = trifacet(*command, "--no-noise", "--output", tmp_path / "pipe")
    assert code == 2
    assert "device or pipe" in problem
