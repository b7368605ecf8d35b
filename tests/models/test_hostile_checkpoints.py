"""Checkpoints of strangers with one thing wrong: one line that names file and key, in bounds of time and memory."""

import json
import os
import shutil
import struct
import time

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from trifacet.base.errors import TrifacetError
from trifacet.llm.chat_model import ChatModel
from trifacet.models import trial
from trifacet.models.decoding import decoding, generate
from trifacet.models.loading import load_model, load_processor


def edited(file, *keys, **values):
    """Changes what stands under ``keys`` in a JSON file."""

    def change(folder):
        whole = json.loads((folder / file).read_text())
        part = whole
        for key in keys:
            part = part[key]
        part.update(values)
        (folder / file).write_text(json.dumps(whole))

    return change


def template(text):
    return lambda folder: (folder / "chat_template.jinja").write_text(text)


def header(folder, change):
    """Rewrites the header of the weights."""
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    told = json.loads(whole[8 : 8 + size])
    change(told)
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + size :])


def weight(value):
    def change(folder):
        weights = load_file(folder / "model.safetensors")
        weights[max(weights)].view(-1)[-1] = value
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return change


def integers(folder):
    header(folder, lambda told: told[max(key for key in told if key != "__metadata__")].update(dtype="I32"))


def sharded(folder, name="model-1.safetensors"):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def outside(folder):
    sharded(folder, "../model-1.safetensors")
    (folder / "model-1.safetensors").rename(folder.parent / "model-1.safetensors")


def pipe(folder):
    (folder / "generation_config.json").unlink()
    os.mkfifo(folder / "generation_config.json")


def circle(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


def adapter(base):
    def change(folder):
        settings = {"peft_type": "LORA", "base_model_name_or_path": base or str(folder), "r": 2, "lora_alpha": 2}
        settings["target_modules"] = ["q_proj"]
        (folder / "adapter_config.json").write_text(json.dumps(settings))

    return change


LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
GROWING = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}] * 3
CASES = {
    "feature layer": (edited("config.json", vision_feature_layer=99), r"config\.json: vision_feature_layer"),
    "image token": (edited("config.json", image_token_index=10**6), r"config\.json: image_token_index"),
    "larger": (edited("config.json", "text_config", vocab_size=10**9), r"config\.json: asks for a far larger model"),
    "longer": (edited("config.json", "text_config", num_hidden_layers=10**9), r"config\.json: asks for a far larger"),
    "no numbers": (
        edited("config.json", "text_config", rope_parameters={"rope_type": "linear", "factor": 0.0, "rope_theta": 1.0}),
        r"config\.json",
    ),
    "strategy": (edited("config.json", vision_feature_select_strategy="x"), r"config\.json: .*vision_feature_select"),
    "nested": (lambda folder: (folder / "config.json").write_text("[" * 10**5), r"config\.json: cannot be loaded"),
    "loop": (template(LOOP), r"chat_template\.jinja: .*seconds"),
    "growth": (template("{{ 'a' * 4000000000 }}"), r"chat_template\.jinja: .*MB of memory"),
    "length": (template("{% for i in range(90000) %}some dozen letters{% endfor %}"), r"template\.jinja: .* 1000000"),
    "syntax": (template("{% for %}"), r"chat_template\.jinja: .*Expected an expression"),
    "raises": (template("{{ raise_exception('no \x1b[31mred') }}"), r"chat_template\.jinja: .*fails"),
    "sandbox": (template("{{ ''.__class__.__init__ }}"), r"chat_template\.jinja: .*0 images"),
    "NaN": (weight(float("nan")), r"model\.safetensors: weight \S+ holds NaN"),
    "infinity": (weight(float("-inf")), r"model\.safetensors: weight \S+ holds NaN"),
    "integers": (integers, r"model\.safetensors: weight \S+ has the type I32"),
    "index": (outside, r"model\.safetensors\.index\.json: weight_map"),
    "end token": (edited("generation_config.json", eos_token_id="x"), r"generation_config\.json: eos_token_id"),
    "far end token": (edited("generation_config.json", eos_token_id=10**6), r"generation_config\.json: eos_token_id"),
    "contrastive": (edited("generation_config.json", penalty_alpha=0.6, top_k=4), r"tion_config\.json: penalty_alpha"),
    "penalty": (edited("generation_config.json", repetition_penalty=1e300), r"tion_config\.json: repetition_penalty"),
    "new pad token": (edited("tokenizer_config.json", pad_token="<new>"), r"tokenizer_config\.json: pad_token"),
    "no end": (lambda folder: (folder / "tokenizer_config.json").unlink(), r"tokenizer_config\.json an eos_token"),
    "deviation": (edited("processor_config.json", "image_processor", image_std=[0, 0, 0]), r"config\.json: image_std"),
    "mean": (edited("processor_config.json", "image_processor", image_mean=["a", None]), r"config\.json: image_mean"),
    "colour": (edited("processor_config.json", "image_processor", image_mean=[3, 0, 0]), r"config\.json: image_mean"),
    "scale": (edited("processor_config.json", "image_processor", rescale_factor=1e400), r"json: .*rescale_factor"),
    "bomb": (edited("tokenizer.json", normalizer={"type": "Sequence", "normalizers": GROWING}), r"tokenizer\.json"),
    "written bomb": (edited("tokenizer.json", decoder={"type": "Sequence", "decoders": GROWING}), r"tokenizer\.json"),
    "bytes": (lambda folder: (folder / "chat_template.jinja").write_bytes(b"\xff"), r"jinja: cannot .* UTF-8"),
    "half a character": (template("{{ '\\ud800' }}"), r"chat_template\.jinja: the chat template fails"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "it has no config.json; give the folder of"),
    "no image processor": (lambda folder: (folder / "processor_config.json").unlink(), r"there is no processor_config"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"\(there is no tokenizer\.json or"),
    "image size": (
        edited("processor_config.json", "image_processor", image_mean=[0.5], image_std=[0.5]),
        r"processor_config\.json: it reads no picture \(",
    ),
    "pixtral": (
        edited("config.json", vision_config={"model_type": "pixtral", "hidden_size": 32}),
        r"llava over pixtral is not supported; over clip_vision_model and siglip_vision_model it is",
    ),
    "pipe": (pipe, r"generation_config\.json: is no regular file"),
    "link": (circle, r"config\.json: cannot be read \(Too many levels"),
    "its own base": (adapter(""), r"adapter_config\.json: base_model_name_or_path leads in a circle"),
    "a moved base": (adapter("/nowhere/model"), r"base_model_name_or_path is /nowhere/model, which"),
}  # fmt: skip


@pytest.fixture
def copied(tmp_path, tiny_folder):
    return shutil.copytree(tiny_folder, tmp_path / "model")


@pytest.fixture
def short(monkeypatch):
    """The same bounds, sooner."""
    monkeypatch.setattr(trial, "SECONDS", 1.0)
    monkeypatch.setattr(trial, "MEMORY", 300_000_000)


@pytest.mark.parametrize("case", CASES)
def test_one_thing_wrong_is_one_line_that_names_file_and_key(case, copied, short):
    harm, message = CASES[case]
    harm(copied)
    began = time.monotonic()
    with pytest.raises(TrifacetError, match=message) as caught:
        load_model(copied)
    assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)
    assert str(copied) in str(caught.value)


def test_the_command_line_says_it_without_the_terminal_s_control_characters(copied, photos, trifacet):
    template("{{ raise_exception('no \x1b[31mred') }}")(copied)
    code, out, err = trifacet("describe", photos / "0.png", "--model", copied)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err


@pytest.mark.parametrize("case", ["bomb", "loop", "NaN", "contrastive", "deviation"])
def test_chat_models_are_held_to_the_same(case, copied, short):
    CASES[case][0](copied)
    with pytest.raises(TrifacetError, match=CASES[case][1]):
        ChatModel(str(copied), "judge.model")


def test_counting_tokens_is_held_to_the_same(copied, short):
    CASES["loop"][0](copied)
    with pytest.raises(TrifacetError, match=CASES["loop"][1]):
        load_processor(copied)


def test_shards_are_read_and_links_followed(tmp_path, copied, tiny):
    sharded(copied)
    (copied / "model-1.safetensors").rename(tmp_path / "blob")
    (copied / "model-1.safetensors").symlink_to(tmp_path / "blob")  # as the hub's cache has them
    ours = load_model(copied).model.state_dict()
    assert all(torch.equal(ours[name], held) for name, held in tiny.model.state_dict().items())


def test_half_precision_that_overflows_is_refused(copied):
    weight(1e30)(copied)
    with pytest.raises(TrifacetError, match=r"too large for its type here; use bfloat16 or float32"):
        load_model(copied, dtype="float16")


def test_code_that_comes_with_a_checkpoint_does_not_run(copied):
    mark = copied.parent / "it ran"
    (copied / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    names = {"AutoConfig": "own.Own", "AutoProcessor": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
    for file in ("config.json", "processor_config.json", "tokenizer_config.json"):
        edited(file, auto_map={**names, "AutoModelForImageTextToText": "own.Own"})(copied)
    load_model(copied)  # its own classes are known without
    edited("config.json", model_type="own")(copied)
    with pytest.raises(TrifacetError, match="custom code"):
        load_model(copied)
    assert not mark.exists()


def test_adapters_in_a_circle_and_pickled_ones_are_refused(tmp_path, tiny_folder):
    for name, base in (("one", tmp_path / "two"), ("two", tmp_path / "one"), ("pickled", tiny_folder)):
        (tmp_path / name).mkdir()
        adapter(str(base))(tmp_path / name)
    torch.save({"weight": torch.ones(1)}, tmp_path / "pickled" / "adapter_model.bin")
    with pytest.raises(TrifacetError, match="leads in a circle"):
        load_model(tmp_path / "one")
    with pytest.raises(TrifacetError, match=r"has no adapter_model\.safetensors"):
        load_model(tmp_path / "pickled")


def test_an_adapter_s_weights_are_looked_at_too(tmp_path, tiny_folder):
    from trifacet.models.loading import save_model
    from trifacet.models.paradigms import LoraSettings, choose_trained

    loaded = load_model(tiny_folder)
    settings = LoraSettings(2, 4, 0.0, r".*language_model.*\.q_proj")
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=settings)
    save_model(model, loaded.processor, tmp_path / "adapter")
    load_model(tmp_path / "adapter")
    (tmp_path / "adapter" / "complete.json").unlink()  # a stranger's has no seal
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    some = next(name for name in weights if "lora_A" in name)
    save_file({**weights, some: weights[some] * float("nan")}, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(TrifacetError, match=rf"adapter_model\.safetensors: weight {some} holds NaN"):
        load_model(tmp_path / "adapter")
    del weights[some]
    save_file(weights, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(TrifacetError, match=r"adapter_model\.safetensors: lacks "):
        load_model(tmp_path / "adapter")


def test_of_a_generation_configuration_only_the_end_tokens_count(copied, tiny):
    """What the program leaves open, such as the fewest tokens, is not for the checkpoint to fill in."""
    edited("generation_config.json", bad_words_ids=[[5]], min_new_tokens=9, stop_strings=["a"], forced_eos_token_id=7)(
        copied
    )
    odd = load_model(copied)
    ids = torch.tensor([[0, 9, 10, 11]])
    texts = [
        generate(one.model, decoding(one.model, one.processor.tokenizer, temperature=0, longest=8), input_ids=ids)
        for one in (tiny, odd)
    ]
    assert torch.equal(*texts)
    assert odd.model.generation_config.min_new_tokens == 9  # as it was, to be saved with the model


def test_a_tokenizer_is_tried_once_for_all_checkpoints_that_have_it(copied, tiny_folder, monkeypatch):
    load_model(tiny_folder)
    monkeypatch.setattr(trial, "call_bounded", lambda *args, **bounds: pytest.fail("tried again"))
    load_model(copied)


def test_a_name_that_no_file_can_have_is_no_checkpoint(photos, trifacet):
    for name in ("x" * 5000, "a/b/" + "y" * 300):
        code, _, err = trifacet("describe", photos / "0.png", "--model", name)
        assert code == 2
        assert err.count("\n") == 1


def test_a_picture_is_still_described(copied, photos):
    """The first request changes nothing: a picture of another size is read afterwards."""
    loaded = load_model(copied)
    assert torch.isfinite(loaded.family.read(Image.open(photos / "1.png").convert("RGB")).pixel_values).all()
