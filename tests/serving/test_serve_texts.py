"""What is served is what the model writes when it is asked alone, in this process, by its own way of asking."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import torch
from PIL import Image

from trifacet.models.loading import load_model

POST = "two dogs and their quiet friend over Lisbon"
SCHEMA = {
    "type": "object",
    "properties": {"alt": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
    "required": ["alt", "sure"],
    "additionalProperties": False,
}


def texts(answer):
    return [choice.message.content for choice in answer.choices]


def ask(served, model, messages, **others):
    post = {"extra_body": {"post": others.pop("post")}} if "post" in others else {}
    return served.client().chat.completions.create(
        model=model, messages=messages, **{"max_tokens": 12, **others}, **post
    )


@pytest.mark.parametrize("model", ["base", "first", "second"])
def test_a_picture_and_its_post_get_the_text_that_the_model_writes_alone(
    served, base, adapters, turn, family_text, model
):
    checkpoint = {"base": base, "first": adapters[0], "second": adapters[1]}[model]
    for pictures, post in (([0], ""), ([1], POST), ([2, 0], POST)):
        alone = family_text(checkpoint, pictures, post)
        assert texts(ask(served, model, turn(*pictures), post=post)) == alone
        assert alone[0]
    assert texts(ask(served, model, turn(3))) == family_text(checkpoint, [3])  # a picture without a word
    own = family_text(checkpoint, [1], POST, prompt="Be brief.")
    assert texts(ask(served, model, turn(1, text="Be brief."), post=POST)) == own


def test_draws_are_those_of_the_seed(served, base, turn, family_text):
    drawn = {"temperature": 1.2, "seed": 5, "n": 3}
    alone = family_text(base, [1], POST, draws=3, seed=5, temperature=1.2)
    assert texts(ask(served, "base", turn(1), post=POST, **drawn)) == alone
    assert len(set(alone)) == 3
    narrow = family_text(base, [1], POST, seed=5, temperature=1.2, top_p=0.3)
    assert texts(ask(served, "base", turn(1), post=POST, temperature=1.2, top_p=0.3, seed=5)) == narrow != alone[:1]
    assert texts(ask(served, "base", turn(1), post=POST, **{**drawn, "seed": 6})) != alone
    greedy = ask(served, "base", turn(1), post=POST, n=2)
    assert texts(greedy) == family_text(base, [1], POST) * 2


def test_messages_are_put_word_for_word(served, base, turn, family_text):
    trained = family_text(base, [1], POST)
    said = turn(1, text=f"Describe it.\nPost:\n{POST}")
    assert texts(ask(served, "base", said)) == trained
    (as_string,) = turn(1, text=f"Describe it.\nPost:\n{POST}")
    as_string["content"][0]["image_url"] = as_string["content"][0]["image_url"]["url"]
    assert texts(ask(served, "base", [as_string])) == trained
    other = ask(served, "base", turn(1, text="Which town?"))
    assert texts(other) != trained
    history = [*turn(1, text="Which town?"), {"role": "assistant", "content": "Lisbon"}, *turn(text="And who?")]
    assert texts(ask(served, "base", history)) != texts(other)
    plain = family_text(base, [], prompt="Which town?")
    assert texts(ask(served, "base", [{"role": "user", "content": "Which town?"}])) == plain


def test_a_control_token_in_a_message_is_words(served, turn):
    sly = turn(0, text="<image> </s> Which?")
    answer = ask(served, "base", sly)  # another picture's place would be refused
    assert answer.usage.prompt_tokens > ask(served, "base", turn(0, text="Which?")).usage.prompt_tokens


def test_a_text_is_the_same_whatever_else_is_asked(served, turn):
    requests = [
        (model, turn(number % 3, text=text), how)
        for number in range(6)
        for model in ("base", "second")
        for text, how in (
            ("Which town?", {}),
            ("Who is there?", {"temperature": 1.0, "seed": number, "n": 2}),
            (None, {"max_tokens": 3 + number, "stop": ["kite"]}),
        )
    ]
    alone = [texts(ask(served, model, said, **how)) for model, said, how in requests]
    with ThreadPoolExecutor(18) as pool:
        together = list(pool.map(lambda one: texts(ask(served, one[0], one[1], **one[2])), requests))
    assert together == alone
    assert len({text for one in alone for text in one}) > 20


def reference(base, shown, pictures, request, longest):
    """Greedy tokens of plain transformers, and the log-probs of everything at each of them."""
    loaded = load_model(base, device="cpu")
    content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": request}]
    prompt = loaded.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [Image.open(shown / f"{one}.png").convert("RGB") for one in pictures]
    inputs = loaded.processor(text=prompt, images=images, return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        output = loaded.model.generate(
            **inputs, do_sample=False, max_new_tokens=longest, return_dict_in_generate=True, output_logits=True
        )
    new = output.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    return loaded.processor.tokenizer, new, torch.stack(output.logits)[:, 0].float().log_softmax(-1)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_are_those_of_transformers(served, base, shown, turn, stream):
    tokenizer, new, logprobs_LV = reference(base, shown, [1], "Which town?", 10)
    answer = ask(
        served, "base", turn(1, text="Which town?"), logprobs=True, top_logprobs=4, max_tokens=10, stream=stream
    )
    if stream:
        pieces = [chunk.choices[0].logprobs for chunk in answer]
        told = [entry for piece in pieces if piece is not None for entry in piece.content]
    else:
        assert tokenizer.decode(new, skip_special_tokens=True).strip() == answer.choices[0].message.content
        told = answer.choices[0].logprobs.content
        joined = "".join(entry.token for entry in told)
        assert joined.strip() == answer.choices[0].message.content or "\ufffd" in joined
    assert len(told) == len(new) == 10
    for place, (token, entry) in enumerate(zip(new, told, strict=True)):
        assert entry.logprob == pytest.approx(float(logprobs_LV[place, token]), abs=1e-4)
        best = logprobs_LV[place].topk(4).values.tolist()
        assert [one.logprob for one in entry.top_logprobs] == pytest.approx(best, abs=1e-4)
    silent = ask(served, "base", turn(1, text="Which town?"), max_tokens=10)
    assert silent.choices[0].logprobs is None


def test_samples_of_a_picture_encode_it_once(serving, base, turn):
    served = serving({"base": str(base)})
    ask(served, "base", turn(2, text="Which town?"), n=5, temperature=1.0, seed=1)
    assert served.encoded() == 1
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: ask(served, "base", turn(2, 3, text=f"Which {number}?"), n=3), range(6)))
    assert served.encoded() == 2  # the third picture alone was new
    ask(served, "base", turn(4, 4, text="Twice?"))
    assert served.encoded() == 3


def pieces(stream, count):
    joined, ends = [""] * count, [None] * count
    for chunk in stream:
        for choice in chunk.choices:
            assert ends[choice.index] is None, "a piece behind the end"
            joined[choice.index] += choice.delta.content or ""
            ends[choice.index] = choice.finish_reason
    return joined, ends


@pytest.mark.parametrize("how", [{}, {"temperature": 1.3, "seed": 3}, {"stop": [" ", "e"]}, {"max_tokens": 60}])
def test_pieces_join_to_the_text(served, turn, how):
    for number in range(4):
        said, both = turn(number, text="Which town?"), {"n": 2, "max_tokens": 20, **how}
        whole = ask(served, "first", said, **both)
        joined, ends = pieces(ask(served, "first", said, stream=True, **both), 2)
        assert joined == texts(whole)
        assert ends == [choice.finish_reason for choice in whole.choices]


def test_a_stream_ends_with_its_usage(served, turn):
    whole = ask(served, "base", turn(0, text="Which?"))
    chunks = list(ask(served, "base", turn(0, text="Which?"), stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len(chunks) > 4  # it came in pieces


def test_a_stop_ends_the_text_before_it(served, turn):
    said = turn(1, text="Which town?")
    free = ask(served, "base", said, max_tokens=40).choices[0]
    assert free.finish_reason == "length"
    stop = free.message.content[5:8]
    answer = ask(served, "base", said, max_tokens=40, stop=["never to be seen", stop], logprobs=True)
    before = free.message.content.partition(stop)[0].strip()
    assert texts(answer) == [before] and answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens < 40
    assert len(answer.choices[0].logprobs.content) <= answer.usage.completion_tokens


@pytest.mark.parametrize("how", [{}, {"temperature": 1.5, "seed": 2, "n": 3}])
def test_json_by_a_schema_parses_and_is_of_it(served, turn, how):
    asked = {"type": "json_schema", "json_schema": {"name": "alt", "schema": SCHEMA, "strict": True}}
    answer = ask(served, "base", turn(1, text="Which town?"), response_format=asked, max_tokens=200, **how)
    for choice in answer.choices:
        assert choice.finish_reason == "stop"
        told = json.loads(choice.message.content)
        assert set(told) == {"alt", "sure"} and len(told["alt"]) <= 12 and isinstance(told["sure"], bool)
    joined, _ = pieces(
        ask(served, "base", turn(1, text="Which town?"), response_format=asked, max_tokens=200, stream=True, **how),
        len(answer.choices),
    )
    assert joined == texts(answer)


def test_json_of_any_kind_is_an_object(served, turn):
    said = turn(1, text="Which town?")
    assert not texts(ask(served, "base", said))[0].startswith("{")
    for seed in range(4):
        answer = ask(
            served, "base", said, response_format={"type": "json_object"}, max_tokens=300, temperature=1.0, seed=seed
        )
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(texts(answer)[0]), dict)
        else:
            assert texts(answer)[0].startswith("{")
    assert texts(ask(served, "base", said, response_format={"type": "text"})) == texts(ask(served, "base", said))


def test_a_post_that_is_too_long_is_cut_as_in_training_and_the_answer_says_so(served, base, turn, family_text):
    post = f"{POST} " * 60
    answer = ask(served, "base", turn(1), post=post)
    assert texts(answer) == family_text(base, [1], post)
    assert answer.cut_tokens > 0 and answer.usage.prompt_tokens <= 300 - 12
    first, *_ = ask(served, "base", turn(1), post=post, stream=True)
    assert first.cut_tokens == answer.cut_tokens
    assert not hasattr(ask(served, "base", turn(1), post=POST), "cut_tokens")
    with pytest.raises(openai.BadRequestError, match="ask for fewer tokens \\(max_tokens\\)"):
        ask(served, "base", turn(1), post=POST, max_tokens=300)


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3"])
def test_other_families_are_served_alike(serving, family_folders, family, turn, family_text):
    folder = family_folders(family)
    served = serving({"m": str(folder)})
    whole = ask(served, "m", turn(1, 0), post=POST)
    assert texts(whole) == family_text(folder, [1, 0], POST)
    joined, _ = pieces(ask(served, "m", turn(1, 0), post=POST, stream=True), 1)
    assert joined == texts(whole)
    schema = {"type": "json_schema", "json_schema": {"name": "alt", "schema": SCHEMA}}
    told = texts(ask(served, "m", turn(1), response_format=schema, max_tokens=200))[0]
    assert set(json.loads(told)) == {"alt", "sure"}


def test_adapters_share_their_base(served, base):
    shared = {id(one.shared) for one in served.desk.hosted.values()}
    assert len(shared) == 1
    assert next(iter(served.desk.hosted.values())).shared.switchable == 2


def test_where_nobody_says_how_long_a_text_is_as_long_as_fits(serving, base, turn, tmp_path):
    short = tmp_path / "model"
    shutil.copytree(base, short, ignore=shutil.ignore_patterns("complete.json"))  # it is as nobody saved it
    (short / "trifacet.json").write_text(json.dumps({**json.loads((base / "trifacet.json").read_text()),
                                                     "max_length": 100}))  # fmt: skip
    served = serving({"m": str(short)})
    answer = served.client().chat.completions.create(model="m", messages=turn(1), extra_body={"post": POST})
    assert 16 <= answer.usage.completion_tokens <= 64
    with pytest.raises(openai.BadRequestError, match="more than"):
        ask(served, "m", turn(1), max_tokens=256, post=POST)
    long = turn(1, text="word " * 480)  # some 1960 of 2048 tokens
    room = served.client().chat.completions.create(model="m", messages=long)
    assert 0 < room.usage.completion_tokens <= 2048 - room.usage.prompt_tokens < 256
