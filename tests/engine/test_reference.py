"""Reference scores are used for exactly what they were made for, or refused."""

import json
import shutil

import pytest
import torch

from trifacet.base.errors import TrifacetError
from trifacet.data.formats import read_samples
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.reference import load_reference, save_reference, score_batches
from trifacet.engine.scoring import TrieScorer
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

SCORES = [torch.tensor([-1.5, -2.25]), torch.tensor([-3.0]), torch.tensor([-4.0, -5.0, -6.0])]
MADE_FOR = {"samples": "a" * 64, "weights": "b" * 64, "dtype": "float32"}


@pytest.fixture
def cache(tmp_path):
    path = tmp_path / "reference" / "sft-all.safetensors"
    save_reference(path, SCORES, MADE_FOR)
    return path


def test_what_is_saved_is_read(cache):
    for stored, given in zip(load_reference(cache, MADE_FOR), SCORES, strict=True):
        assert torch.equal(stored, given)
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


@pytest.mark.parametrize("key", [*MADE_FOR, "processor"])
def test_what_changed_is_named(cache, key):
    with pytest.raises(TrifacetError, match=f"is stale: {key} changed since it was made; delete .* --overwrite"):
        load_reference(cache, {**MADE_FOR, key: "other"})


def test_every_change_is_named(cache):
    with pytest.raises(TrifacetError, match="stale: dtype, samples and weights changed"):
        load_reference(cache, dict.fromkeys(MADE_FOR, "other"))


def test_a_flipped_bit_anywhere_is_found(cache):
    whole = cache.read_bytes()
    for place in range(len(whole)):
        cache.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            stored = load_reference(cache, MADE_FOR)
        except TrifacetError as error:
            assert "damaged" in str(error), place
            assert "\n" not in str(error), place
        else:  # a blank or a name in the header that carries nothing
            assert all(torch.equal(ours, given) for ours, given in zip(stored, SCORES, strict=True)), place


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_a_truncated_cache_is_refused(cache, length):
    cache.write_bytes(cache.read_bytes()[:length])
    with pytest.raises(TrifacetError, match="damaged"):
        load_reference(cache, MADE_FOR)


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrifacetError, match="cannot write"):
        save_reference(tmp_path / "file" / "sft.safetensors", SCORES, MADE_FOR)


@pytest.fixture
def parts(tmp_path, world, tiny):
    """What the fingerprint is made of, to be changed one at a time."""
    data = shutil.copytree(world, tmp_path / "data")
    return {
        "samples": read_samples(data / "preference.jsonl", "preference")[:4],
        "data": data,
        "family": tiny.family,
        "objective": OBJECTIVES["mcm-dpo"],
        "strategy": image_strategy("diffusion", 700),
        "encoder": {"prompt": "Write.", "context_label": "Context:", "max_length": 512},
        "rejection": {"seed": 1},
    }


def fingerprint(parts):
    encoder = SampleEncoder(parts["family"], **parts["encoder"])
    rejection = Rejection(parts["strategy"], **parts["rejection"])
    examples = Examples(parts["samples"], parts["objective"], encoder, parts["data"], rejection, max_pixels=10**6)
    return examples.fingerprint()


def other_text(parts):
    first = parts["samples"][0]
    parts["samples"] = [first.model_copy(update={"context": first.context + "!"}), *parts["samples"][1:]]


def other_order(parts):
    parts["samples"] = parts["samples"][::-1]


def other_image_bytes(parts):
    path = parts["data"] / parts["samples"][2].image
    path.write_bytes(path.read_bytes() + b"\0")


def other_seed(parts):
    parts["rejection"] = {"seed": 2}


def other_versions(parts):
    parts["rejection"] = {"seed": 1, "image_versions": 2}


def other_strategy(parts):
    parts["strategy"] = image_strategy("crop", 700)


def other_t(parts):
    parts["strategy"] = image_strategy("diffusion", 500)


def other_corners(parts):
    parts["objective"] = OBJECTIVES["mdpo"]


def other_prompt(parts):
    parts["encoder"]["prompt"] = "Describe."


def other_label(parts):
    parts["encoder"]["context_label"] = "Post:"


def other_length(parts):
    parts["encoder"]["max_length"] = 511


def other_template(parts):
    parts["family"].processor.chat_template += " "


def other_mean(parts):
    parts["family"].processor.image_processor.image_mean = [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_text, {"samples"}),
        (other_order, {"samples"}),
        (other_image_bytes, {"samples"}),
        (other_seed, {"rejected versions"}),
        (other_versions, {"rejected versions", "samples"}),
        (other_strategy, {"rejected versions"}),
        (other_t, {"rejected versions"}),
        (other_corners, {"corners", "samples"}),
        (other_prompt, {"prompt and length"}),
        (other_label, {"prompt and length"}),
        (other_length, {"prompt and length"}),
        (other_template, {"processor"}),
        (other_mean, {"processor"}),
    ],
)
def test_each_thing_that_scores_depend_on_changes_the_fingerprint(parts, tmp_path, change, named):
    before = fingerprint(parts)
    assert fingerprint(parts) == before
    path = tmp_path / "cache.safetensors"
    save_reference(path, SCORES, before)
    change(parts)
    after = fingerprint(parts)
    assert {key for key in before if before[key] != after[key]} == named
    with pytest.raises(TrifacetError, match=" and ".join(sorted(named)) + " changed"):
        load_reference(path, after)


def test_an_image_that_vanished_is_named_with_its_sample(parts):
    (parts["data"] / parts["samples"][2].image).unlink()
    with pytest.raises(TrifacetError, match="sample 'preference-00002': no image file 'images"):
        fingerprint(parts)


def test_what_does_not_touch_scores_keeps_the_fingerprint(parts):
    before = fingerprint(parts)
    parts["samples"] = [sample.model_copy(update={"extra": {"note": 1}}) for sample in parts["samples"]]
    assert fingerprint(parts) == before


def test_scores_are_taken_without_dropout_and_leave_the_mode(tiny, pairs, world):
    encoder = SampleEncoder(tiny.family, prompt="Write.", context_label="Context:", max_length=512)
    rejection = Rejection(image_strategy("blackness", 0))
    examples = Examples(pairs[:2], OBJECTIVES["dpo"], encoder, world, rejection, max_pixels=10**6)
    batch = Collator(examples).seen([examples[0], examples[1]])
    tiny.model.config.text_config.attention_dropout = 0.5
    for layer in tiny.model.model.language_model.layers:
        layer.self_attn.attention_dropout = 0.5
    scorer = TrieScorer(tiny.model, tiny.family).train()
    once, twice = (next(score_batches(scorer, [batch], torch.device("cpu"))) for _ in range(2))
    assert torch.equal(once, twice)
    assert scorer.training
    assert not once.requires_grad
    assert not torch.equal(scorer(batch), once)  # the dropout is real


def test_the_header_is_plain(cache):
    """The file is readable by safetensors alone, and its header says what it was made for."""
    from safetensors import safe_open

    with safe_open(cache, framework="pt") as file:
        assert json.loads(file.metadata()["fingerprint"]).items() >= MADE_FOR.items()
        assert file.get_tensor("counts").tolist() == [2, 1, 3]
