"""Adapters that lie beside each other on one base: each gives what its checkpoint gives alone."""

import json
import shutil

import pytest
import torch
from peft import KasaConfig
from safetensors.torch import load_file, save_file
from tiny_adapters import adapt, edit, logits
from tiny_families import load_copy

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models import sharing
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.models.sharing import SharedBase

TARGETS = r".*\.(q_proj|v_proj|gate_proj)"
pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT's


def trained(start, folder, seed, *, vision=False, asking=None, targets=TARGETS):
    """An adapter on ``start``, a checkpoint, as a stage saves it."""
    loaded = load_model(start)
    settings = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=targets)
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=vision, lora=settings)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=rng), alpha=0.1)
    save_model(model, loaded.processor, folder, asking)
    return folder


@pytest.fixture(scope="module")
def base(request, family_folders, tmp_path_factory):
    """A family's checkpoint whose texts listen to the prompt."""
    name = getattr(request, "param", "llava")
    loaded = load_copy(family_folders(name))
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.2, generator=rng)
    folder = tmp_path_factory.mktemp(f"base-{name}") / "base"
    save_model(loaded.model, loaded.processor, folder)
    return folder


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    """One, another whose vision encoder trained, and one that was trained on the first."""
    root = tmp_path_factory.mktemp("adapters")
    first = trained(base, root / "first", 1)
    return [first, trained(base, root / "second", 2, vision=True), trained(first, root / "third", 3)]


def texts(loaded, photos, **others):
    encoder = SampleEncoder(loaded.family, prompt="Write.", context_label="Context:", max_length=2048)
    posts = [TestSample(id=str(n), image=f"{n % 2}.png", context="two dogs " * n) for n in range(3)]
    return FamilyWriter(loaded.model, encoder, Generation(beams=1, max_new_tokens=8), **others).write(posts, photos)


def seen(loaded, photos):
    """Logits behind a picture, so that projector and vision encoder count."""
    from PIL import Image

    from trifacet.engine.growing import Grove, Prompt

    with Image.open(photos / "1.png") as opened:
        images = (loaded.family.read(opened.convert("RGB")),)
    encoder = SampleEncoder(loaded.family, prompt="Write.", context_label="Context:", max_length=2048)
    path, _ = encoder.prompt_path(None, "two dogs", images)
    with torch.no_grad():
        return Grove(loaded.model, loaded.family, 1).plant([(0, [Prompt(path, images)])])[0][0][1]


@pytest.mark.parametrize("base", ["llava", "qwen3_vl", "gemma3"], indirect=True)  # all nine were tried
def test_under_an_adapter_it_is_the_checkpoint_alone_however_often_it_is_switched(base, adapters, photos):
    every = [None, *adapters]
    alone = {}
    for one in every:
        loaded = load_model(one or base)
        alone[one] = (
            texts(loaded.__class__(loaded.model.eval(), loaded.processor, loaded.family), photos),
            seen(loaded, photos),
        )
    assert len({tuple(text.text for text in written) for written, _ in alone.values()}) == 4
    with SharedBase(base) as shared:
        for one in [*every, *every[::-1], adapters[0]]:
            with shared.under(one) as loaded:
                assert texts(loaded, photos, pictures=shared.pictures(one)) == alone[one][0]
                torch.testing.assert_close(seen(loaded, photos), alone[one][1], atol=1e-4, rtol=1e-4)
        # where the projector is a part of the encoder, a copy of the whole encoder would hold the other's projector
        alone_too = [str(adapters[1])] if "qwen" in shared._root.family.name else []
        assert (shared.switchable, list(shared._own)) == (3 - len(alone_too), alone_too)
        counts = shared.encoded
    assert {tuple(of_one.values()) for of_one in counts.values()} == {(1, 1)} and len(counts) == 4


def test_models_are_loaded_once_and_within_a_block_others_may_be_looked_at(base, adapters, photos, monkeypatch):
    loads = []
    monkeypatch.setattr(
        sharing, "load_model", lambda path, **options: loads.append(path) or load_model(path, **options)
    )
    with SharedBase(base) as shared, shared.under(adapters[0]) as first:
        before = logits(first.model)
        with shared.under(adapters[2]) as third:
            assert not torch.allclose(logits(third.model), before, atol=1e-2)
        with shared.under() as plain:
            assert not torch.allclose(logits(plain.model), before, atol=1e-2)
        assert torch.equal(logits(first.model), before), "the block's own again"
    assert loads == [str(base.resolve())]


def test_a_base_that_is_an_adapter_shares_what_it_stands_on(base, adapters, photos):
    with SharedBase(adapters[0]) as shared:
        for one, checkpoint in ((None, adapters[0]), (adapters[2], adapters[2]), (base, base)):
            with shared.under(one) as loaded:
                assert texts(loaded, photos) == texts(load_model(checkpoint), photos)
        assert shared.switchable == 2 and not shared._own


def test_what_cannot_lie_beside_others_is_loaded_alone(base, adapters, photos, tmp_path):
    whole = load_model(adapters[0])
    save_model(whole.model, whole.processor, tmp_path / "whole")
    adapt(load_model(base).model, tmp_path / "dora", target_modules=["q_proj"], use_dora=True)
    adapt(load_model(base).model, tmp_path / "sees", target_modules=["vision_tower.encoder.layers.0.mlp.fc1", "q_proj"])
    for name in ("dora", "sees"):
        edit(tmp_path / name, lambda config: config.update(base_model_name_or_path=str(base)))
    with SharedBase(base) as shared:
        with shared.under(adapters[1]):  # has a copy of the vision encoder
            pass
        for name in ("whole", "dora", "sees"):
            with shared.under(tmp_path / name) as loaded:
                assert texts(loaded, photos) == texts(load_model(tmp_path / name), photos)
        assert shared.switchable == 1 and len(shared._own) == 3
        with shared.under(adapters[0]) as loaded:
            assert texts(loaded, photos) == texts(whole, photos)


@pytest.mark.parametrize(
    "how", [{"init_lora_weights": "pissa"}, {"init_lora_weights": "olora"}, {"kasa_config": KasaConfig()}]
)
def test_an_adapter_whose_start_is_taken_out_of_the_base_leaves_the_shared_base_as_it_is(base, adapters, tmp_path, how):
    odd = tmp_path / "odd"
    adapt(load_model(base).model, odd, target_modules=["q_proj"], **how)
    edit(odd, lambda config: config.update(base_model_name_or_path=str(base)))
    with SharedBase(base) as shared:
        with shared.under() as plain:
            before = logits(plain.model)
        with shared.under(odd) as loaded:
            torch.testing.assert_close(logits(loaded.model), logits(load_model(odd).model), atol=1e-4, rtol=1e-4)
        with shared.under() as plain:
            assert torch.equal(logits(plain.model), before)
        with shared.under(adapters[0]) as loaded:
            torch.testing.assert_close(
                logits(loaded.model), logits(load_model(adapters[0]).model), atol=1e-4, rtol=1e-4
            )


def test_an_adapter_of_another_base_is_refused_by_name(base, adapters, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    foreign = trained(other, tmp_path / "foreign", 4)
    with (
        SharedBase(base) as shared,
        pytest.raises(TrifacetError, match=r"foreign: is an adapter of \S*other, not of"),
        shared.under(foreign),
    ):
        pass
    moved = shutil.copytree(adapters[0], tmp_path / "damaged")
    (moved / "adapter_model.safetensors").write_bytes(b"x")
    with (
        SharedBase(base) as shared,
        pytest.raises(TrifacetError, match=r"adapter_model\.safetensors"),
        shared.under(moved),
    ):
        pass


def test_an_adapter_that_does_not_fit_leaves_nothing_on_the_base(base, adapters, tmp_path):
    folder = shutil.copytree(adapters[0], tmp_path / "half")
    weights = load_file(folder / "adapter_model.safetensors")
    lost = next(key for key in weights if key.endswith("layers.0.self_attn.q_proj.lora_B.weight"))
    save_file({key: value for key, value in weights.items() if key != lost}, folder / "adapter_model.safetensors")
    (folder / "complete.json").unlink()  # its seal
    with SharedBase(base) as shared:
        with pytest.raises(TrifacetError, match="lacks"), shared.under(folder):
            pass
        with shared.under() as loaded:
            assert torch.equal(logits(loaded.model), logits(load_model(base).model))
        with shared.under(adapters[0]) as loaded:
            torch.testing.assert_close(
                logits(loaded.model), logits(load_model(adapters[0]).model), atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda file: file.rename(file.with_name("adapter_model.bin")), "has no adapter_model.safetensors; convert"),
        (lambda file: file.write_bytes(b"x"), "cannot be loaded"),
        (lambda file: edit(file.parent, lambda config: config.update(modules_to_save=5)), "cannot be loaded"),
    ],
)
def test_an_adapter_of_others_that_is_none_is_told_in_a_line(base, adapters, tmp_path, broken, told):
    folder = shutil.copytree(adapters[0], tmp_path / "odd")
    (folder / "complete.json").unlink()  # its seal
    broken(folder / "adapter_model.safetensors")
    with SharedBase(base) as shared, pytest.raises(TrifacetError, match=told), shared.under(folder):
        pass


def test_weights_are_told_by_their_files_wherever_they_lie(base, adapters, tmp_path):
    copied = shutil.copytree(adapters[0], tmp_path / "copied")
    with SharedBase(base) as shared:
        told = [shared.weights(one) for one in (None, *adapters)]
        assert len(set(told)) == 4 and shared.weights(copied) == told[1]
        assert shared._root is None, "nothing was loaded"
    changed = shutil.copytree(base, tmp_path / "base")
    config = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps(config | {"vision_feature_layer": -1}))
    assert SharedBase(changed).weights() != told[0]


def test_an_adapter_is_asked_with_its_own_processor_and_pixels(family_folders, tmp_path, photos):
    base = family_folders("qwen2_vl")
    folder = trained(base, tmp_path / "adapter", 1, asking=WayOfAsking(image_pixels=(28 * 28, 2 * 28 * 28)))
    with SharedBase(base) as shared, shared.under(folder) as loaded:
        assert loaded.image_pixels == (28 * 28, 2 * 28 * 28)
        assert texts(loaded, photos) == texts(load_model(folder), photos)
        with shared.under() as plain:
            assert plain.image_pixels is None
            assert texts(plain, photos) == texts(load_model(base), photos)
