"""Features of a frozen vision encoder that are kept: the same scores and gradients, and each picture encoded once."""

import pytest
import torch
from tiny_families import MAKERS, load_copy

from trifacet.base.errors import TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.kept_features import KeptFeatures, projectors, vision_layers
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import TrieScorer
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

MUCH = 2**26


def examples_of(posts, photos, loaded, *, resample=False):
    encoder = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)
    rejection = Rejection(image_strategy("diffusion", 700), seed=1, resample=resample)
    return Examples(posts, OBJECTIVES["mcm-dpo"], encoder, photos, rejection, max_pixels=10**6)


def batches_of(examples):
    return [Collator(examples).seen([examples[index] for index in pair]) for pair in ((0, 1), (2, 0))]


def encoder_calls(model, family):
    """Counts the forwards of the encoder's first layer that do its work: (pictures' rows of each)."""
    calls = []
    first = vision_layers(model, family)[0]
    inside = next(module for module in first.modules() if isinstance(module, torch.nn.Linear))
    inside.register_forward_hook(lambda module, arguments, output: calls.append(1))
    return calls


@pytest.mark.parametrize("name", MAKERS)
def test_scores_and_gradients_are_those_without(name, family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders(name))
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=None)
    batches = batches_of(examples_of(posts, photos, loaded))
    plain, gradients = TrieScorer(model, loaded.family), []
    scores = []
    kept = KeptFeatures(tmp_path, MUCH)
    for scorer in (plain, TrieScorer(model, loaded.family, kept=kept), TrieScorer(model, loaded.family, kept=kept)):
        model.zero_grad()
        scores.append(torch.cat([scorer(batch) for batch in batches]))
        (scores[-1] * torch.linspace(-1, 1, len(scores[-1]))).sum().backward()
        gradients.append({key: one.grad.clone() for key, one in model.named_parameters() if one.grad is not None})
    assert scores[0].std() > 0.1
    for others, found in zip(scores[1:], gradients[1:], strict=True):
        assert (others - scores[0]).abs().max() < 1e-4
        assert found.keys() == gradients[0].keys()
        largest = max(one.abs().max() for one in gradients[0].values())
        for key, one in gradients[0].items():
            assert (found[key] - one).norm() <= 1e-3 * one.norm() + 1e-6 * largest, key
    assert torch.equal(scores[1], scores[2])  # kept or made just now: the same bits
    assert projectors(model, loaded.family)
    assert vision_layers(model, loaded.family)
    assert set(kept.encoded.values()) == {1}


@pytest.mark.parametrize("name", ["llava", "qwen3_vl"])
def test_a_picture_is_encoded_once_for_policy_reference_and_the_next_run(name, family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders(name))
    lora = LoraSettings(2, 4, 0.0, r".*language_model.*\.q_proj")
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=lora)
    calls = encoder_calls(model, loaded.family)
    examples = examples_of(posts, photos, loaded)
    batches = batches_of(examples)
    distinct = {one.key for batch in batches for one in batch.shown}
    kept = KeptFeatures(tmp_path, MUCH)
    scorer = TrieScorer(model, loaded.family, kept=kept)
    reference = torch.cat(list(score_batches(scorer, batches, torch.device("cpu"))))
    with model.disable_adapter():
        again = torch.cat(list(score_batches(scorer, batches, torch.device("cpu"))))
    assert torch.equal(reference, again)  # an adapter begins as nothing
    assert len(calls) == len(distinct) == 6
    kept.close()

    later = KeptFeatures(tmp_path, MUCH)
    scorer = TrieScorer(model, loaded.family, kept=later)
    assert torch.equal(torch.cat(list(score_batches(scorer, batches[::-1], torch.device("cpu")))[::-1]), reference)
    assert not later.encoded
    assert len(calls) == 6


def test_what_is_full_keeps_what_it_has(family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders("llava"))
    batches = batches_of(examples_of(posts, photos, loaded))
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=None)
    expected = torch.cat(list(score_batches(TrieScorer(model, loaded.family), batches, torch.device("cpu"))))
    few = KeptFeatures(tmp_path, 0)
    few._most = 3 * 4096 - 2**26  # pages of the file for itself alone
    scorer = TrieScorer(model, loaded.family, kept=few)
    for _ in range(2):
        scores = torch.cat(list(score_batches(scorer, batches, torch.device("cpu"))))
        assert (scores - expected).abs().max() < 1e-4
    assert max(few.encoded.values()) > 1


def test_images_that_are_drawn_anew_are_not_kept(family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders("llava"))
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=None)
    examples = examples_of(posts, photos, loaded, resample=True)
    kept = KeptFeatures(tmp_path, MUCH)
    scorer = TrieScorer(model, loaded.family, kept=kept)
    for epoch in range(3):
        examples.set_epoch(epoch)
        list(score_batches(scorer, batches_of(examples), torch.device("cpu")))
    chosen = {examples.image_versions(index)[0].key for index in range(3)}
    assert {key: kept.encoded[key] for key in chosen} == dict.fromkeys(chosen, 1)
    assert len(kept.encoded) == 3 + 3 * 3
    kept.close()
    later = KeptFeatures(tmp_path, MUCH)
    assert set(later._read(list(kept.encoded))) == chosen


def test_what_is_damaged_is_made_anew_or_named(family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders("llava"))
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=None)
    batches = batches_of(examples_of(posts, photos, loaded))
    kept = KeptFeatures(tmp_path, MUCH)
    scorer = TrieScorer(model, loaded.family, kept=kept)
    before = torch.cat(list(score_batches(scorer, batches, torch.device("cpu"))))
    spoilt = batches[0].shown[0].key
    with kept._file().begin(write=True) as writing:
        writing.put(spoilt.encode(), b"of another program")
    assert torch.equal(torch.cat(list(score_batches(scorer, batches, torch.device("cpu")))), before)
    assert {key: times for key, times in kept.encoded.items() if times > 1} == {spoilt: 2}
    kept.close()
    (tmp_path / "data.mdb").write_bytes(b"no such file " * 2000)
    with pytest.raises(TrifacetError, match=r"damaged.*delete it"):
        list(score_batches(scorer, batches, torch.device("cpu")))


def test_a_folder_that_cannot_be_written_is_named(family_folders, posts, photos, tmp_path):
    loaded = load_copy(family_folders("llava"))
    (tmp_path / "file").write_text("")
    scorer = TrieScorer(loaded.model, loaded.family, kept=KeptFeatures(tmp_path / "file" / "features", MUCH))
    batches = batches_of(examples_of(posts, photos, loaded))
    with pytest.raises(TrifacetError, match="features"):
        list(score_batches(scorer, batches, torch.device("cpu")))
