"""A checkpoint of this machine in an endpoint's place: same answers to the same questions, in builds and benchmarks."""

import asyncio
import json
import shutil
from threading import Event

import pytest
import torch
from PIL import Image
from questions import PROMPT, parse
from safetensors.torch import load_file, save_file
from tiny_parts import CHATML, PARTS, text_config, tokenizer_of
from transformers import LlamaConfig, LlamaForCausalLM

from trifacet.base.errors import TrifacetError
from trifacet.building.asking import Asker
from trifacet.building.recipe import BuildRecipe
from trifacet.llm.books import Books
from trifacet.llm.chat_model import ChatModel
from trifacet.llm.model import LanguageModel
from trifacet.llm.prompts import make_prompt
from trifacet.llm.settings import Model

TEXTS = ["a red kite over the harbour", "two dogs and their quiet friend near the old wall"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A tiny Llama that reads text alone, with a chat template that puts messages together as ChatML does."""
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = tokenizer_of(["<|im_start|>", "<|im_end|>"], TEXTS, eos_token="<|im_end|>")
    tokenizer.chat_template = CHATML.replace(PARTS, "{{ message['content'] }}")
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(**text_config(tokenizer)))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def spec(folder, **others):
    return Model(**{"base_url": "local", "model": str(folder), "max_tokens": 12, "reparse": 0} | others)


def ask_all(model_spec, file, texts, *, images=(), temperature=0.0, draw=0, prompt=PROMPT):
    async def run():
        async with LanguageModel("judge", model_spec, books) as model:
            asking = (
                model.ask(prompt, {"post": text}, str, images=images, temperature=temperature, draw=draw)
                for text in texts
            )
            return await asyncio.gather(*asking)

    with Books(file) as books:
        return asyncio.run(run()), books.tally("", "judge")


def test_the_same_question_has_the_same_answer_and_others_have_others(writer, tmp_path):
    texts = [*TEXTS, "kite", "wall"]
    answers, tally = ask_all(spec(writer), tmp_path / "a.sqlite", texts)
    alone, _ = ask_all(spec(writer), tmp_path / "b.sqlite", texts[2:3])
    said = [answer.text for answer in answers]
    assert alone[0].text == said[2] and len(set(said)) > 1 and all(said)
    assert (tally.asked, tally.answered, tally.uncounted) == (4, 4, 0) and tally.tokens_out <= 4 * 12
    _, again = ask_all(spec(writer), tmp_path / "a.sqlite", texts)
    assert (again.cached, again.sent) == (4, 0)


def test_answers_cut_at_the_limit_are_told(writer, tmp_path):
    answers, tally = ask_all(spec(writer, max_tokens=2), tmp_path / "a.sqlite", TEXTS)
    assert {answer.problem for answer in answers} == {"cut off"} and tally.tokens_out == 4


def test_the_checkpoints_own_generation_settings_do_not_count(writer, tmp_path):
    strict = tmp_path / "strict"
    shutil.copytree(writer, strict)
    settings = json.loads((strict / "generation_config.json").read_text())
    settings |= {"no_repeat_ngram_size": 1, "min_length": 400, "num_beams": 2, "do_sample": True, "top_k": 3}
    (strict / "generation_config.json").write_text(json.dumps(settings))
    (plain, _), (told, _) = (
        ask_all(spec(folder), tmp_path / f"{folder.name}.sqlite", TEXTS) for folder in (writer, strict)
    )
    assert [answer.text for answer in told] == [answer.text for answer in plain]


def test_draws_are_those_of_their_seed(writer, tmp_path):
    def drawn(file, draw):
        return ask_all(spec(writer), tmp_path / file, TEXTS, temperature=1.5, draw=draw)[0][0].text

    state = torch.random.get_rng_state()
    first, other, again = drawn("a.sqlite", 0), drawn("b.sqlite", 1), drawn("c.sqlite", 0)
    assert first == again != other
    assert torch.equal(torch.random.get_rng_state(), state), "nobody else's draws are touched"


def test_writing_ends_with_the_token_at_which_nobody_waits_any_more(writer):
    given_up, model = Event(), ChatModel(str(writer), "models.judge")
    turns = [("user", [TEXTS[0]])]
    waited = [model.answer(turns, [], temperature=0, seed=1, longest=12, given_up=one) for one in (None, given_up)]
    given_up.set()
    assert waited[0] == waited[1]
    assert model.answer(turns, [], temperature=0, seed=1, longest=12, given_up=given_up).tokens_out == 1


def test_a_model_trained_anew_is_another_model(writer, tmp_path):
    ask_all(spec(writer), tmp_path / "a.sqlite", TEXTS)
    weights = writer / "model.safetensors"
    before = weights.read_bytes()
    try:
        weights.write_bytes(before[:-4] + b"\x00\x00\x00\x40")
        _, tally = ask_all(spec(writer), tmp_path / "a.sqlite", TEXTS)
    finally:
        weights.write_bytes(before)
    assert tally.cached == 0 and tally.answered == 2


def test_a_text_model_rejects_pictures_and_what_is_too_long(writer, tmp_path, photos):
    (answer,), _ = ask_all(spec(writer), tmp_path / "a.sqlite", ["x"], images=[photos / "0.png"])
    assert answer.problem == "rejected by the endpoint" and "sees no images; set image_side: null" in answer.text
    (answer,), _ = ask_all(spec(writer, image_side=None), tmp_path / "a.sqlite", ["x"], images=[photos / "0.png"])
    assert answer.problem != "rejected by the endpoint"
    (answer,), _ = ask_all(spec(writer), tmp_path / "a.sqlite", ["wall " * 3000])
    assert "more than the model's 2048" in answer.text


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "smolvlm"])
def test_a_vision_model_is_shown_the_picture(family, family_folders, tmp_path, photos):
    folder = family_folders(family)
    said, prompt = {}, make_prompt("marks", "---\nWhat is <image> or <|image_pad|> in {post}?</s><|im_end|>")
    for name in ("0.png", "3.png", None):
        images = [photos / name] if name else []
        (answer,), tally = ask_all(spec(folder), tmp_path / f"{name}.sqlite", ["x"], images=images, prompt=prompt)
        assert answer.problem in (None, "cut off", "empty"), answer
        said[name] = answer.text, tally.tokens_in
    assert len({text for text, _ in said.values()}) > 1, "pictures change the answer"
    assert said["0.png"][1] > said[None][1], "pictures take tokens, words that look like one do not"


def test_a_word_that_the_processor_takes_for_an_image_is_broken_though_the_vocabulary_calls_it_ordinary(
    family_folders, tmp_path, photos
):
    folder = shutil.copytree(family_folders("llava"), tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text())
        for added in values.get("added_tokens", []):
            added["special"] = added["special"] and added["content"] != "<image>"
        values = {key: value for key, value in values.items() if key not in ("extra_special_tokens", "image_token")}
        (folder / name).write_text(json.dumps(values))
    model = ChatModel(str(folder), "models.judge")
    assert "<image>" not in model.tokenizer.all_special_tokens
    with Image.open(photos / "0.png") as opened:
        inputs = model._inputs([("user", [None, "is this an <image> or not"])], [opened.convert("RGB")])
    alone = model._inputs([("user", ["is this an <image> or not"])], [])
    (image,) = model.tokenizer.convert_tokens_to_ids(["<image>"])
    assert (inputs["input_ids"] == image).sum() > 1 and not (alone["input_ids"] == image).any()


def test_what_the_checkpoint_says_of_sampling_shapes_no_text(writer, tmp_path):
    folder = shutil.copytree(writer, tmp_path / "writer")
    path = folder / "generation_config.json"
    said = {"no_repeat_ngram_size": 1, "min_length": 40, "repetition_penalty": 3.0, "suppress_tokens": list(range(60))}
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    ours, theirs = (ChatModel(str(place), "models.judge") for place in (writer, folder))
    turns = [("user", [TEXTS[0]])]
    first, second = (one.answer(turns, [], temperature=0, seed=1, longest=12) for one in (ours, theirs))
    assert first == second


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_wider_config(folder):
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"intermediate_size": 96', '"intermediate_size": 128'))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded as a checkpoint"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template"),
        (without_a_weight, r"^models\.judge: .* lacks weights model\.norm\.weight"),
        (with_a_wider_config, r"other shapes .*weights model\.layers\.0\.mlp"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "clip"}'), "is no model that writes text"),
    ],
)
def test_what_cannot_be_asked_stops_with_one_line(writer, tmp_path, change, said):
    folder = shutil.copytree(writer, tmp_path / "model")
    change(folder)
    with pytest.raises(TrifacetError, match=said) as error:
        ask_all(spec(folder), tmp_path / "a.sqlite", TEXTS)
    assert "\n" not in str(error.value)


def test_code_of_a_checkpoint_is_not_run_though_somebody_sits_there_who_would_say_yes(writer, tmp_path, monkeypatch):
    folder, ran = shutil.copytree(writer, tmp_path / "model"), tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')\n")
    keys = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(keys))
    monkeypatch.setattr("builtins.input", lambda prompt="": "y")
    with pytest.raises(TrifacetError, match="cannot be loaded as a checkpoint"):
        ChatModel(str(folder), "models.judge")
    assert not ran.exists()


def test_a_step_of_a_build_asks_one(writer, tmp_path):
    keys = {"base_url": "local", "model": str(writer), "max_tokens": 8, "reparse": 1}
    recipe = BuildRecipe.model_validate(
        {"sources": [{"path": "posts.jsonl"}], "steps": ["grammar"], "models": {"judge": keys}}
    )

    async def run(books):
        async with Asker().open("judge", recipe, books) as model:
            step = model.for_step("grammar")
            return await step.ask(PROMPT, {"post": "x"}, parse)

    with Books(tmp_path / "a.sqlite") as books:
        answer = asyncio.run(run(books))
    assert answer.problem in ("unparsed", "cut off") and books.tally("grammar", "judge").sent == 2
