"""A chat template by which something else than the answer would be learned is refused at load, both texts shown."""

import copy

import pytest
from tiny_families import CHATML

from trifacet.base.errors import TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.models.first_request import try_answer
from trifacet.models.loading import load_processor

ANSWERS = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TURNS = CHATML.replace("IMAGE", "<IMG_CONTEXT>\n").removesuffix(ANSWERS)
SAYS = "{{ part['text'] }}"
NO_ANSWER = TURNS.replace("{% for message in messages %}", "{% for message in messages if message['role'] == 'user' %}")
LIST = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] if part['type'] == 'image' %}<IMG_CONTEXT>{% endfor %}"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}" + ANSWERS
)
LAST = "{% if message['role'] == 'assistant' %}{{ message['content'] }}{% else %}WORDS{% endif %}"
WORDS = TURNS.partition("{{ message['role'] }}\n")[2].partition("<|im_end|>")[0]
THINKS = "{% if message['role'] == 'assistant' %}<think></think>{% endif %}"
SAID = "{% for message in messages %}{{ message['role'] }}: WORDS {% endfor %}".replace("WORDS", WORDS)
THOUGHT = ANSWERS.replace("assistant\n", "assistant\n<think>\n")
BAD = {
    "no generation prompt": (TURNS, "has '<|im_start|>assistant' between the text that asks and the answer"),
    "another generation prompt": (TURNS + ANSWERS.replace("assistant", "model"), "asks for an answer otherwise than"),
    "asks for thoughts": (
        TURNS + ANSWERS.replace("assistant\n", "assistant\n<think>\n"),
        "asks for an answer otherwise",
    ),
    "writes thoughts": (
        TURNS.replace("{{ message['role'] }}\n", "{{ message['role'] }}\nTHINKS").replace("THINKS", THINKS) + ANSWERS,
        "has '<think></think>' between",
    ),
    "skips answers": (NO_ANSWER + ANSWERS, "asks for an answer otherwise"),
    "skips answers alone": (NO_ANSWER + "assistant:", "does not hand on the answer"),
    "prints lists": (LIST, "does not hand on request and post as they are"),
    "prints the answer's list": (TURNS.replace(WORDS, LAST.replace("WORDS", WORDS)) + ANSWERS, "the answer as it is"),
    "escapes": (TURNS.replace(SAYS, "{{ part['text'] | e }}") + ANSWERS, "does not hand on request and post"),
    "one line": (TURNS.replace(SAYS, "{{ part['text'] | replace('\n', ' ') }}") + ANSWERS, "request and post"),
    "two ends": (
        TURNS.replace("<|im_end|>", "<|im_end|><|im_end|>") + ANSWERS,
        "'<|im_end|><|im_end|>' and not with one",
    ),
    "more after the end": (TURNS + ANSWERS + "{% if not add_generation_prompt %}ok{% endif %}", "ends an answer with"),
}


@pytest.fixture(scope="module")
def chat(family_folders):
    """InternVL's processor, whose turns are ChatML."""
    return load_processor(family_folders("internvl"))


def encoder_of(family, template=None):
    family = copy.copy(family)
    family.processor = copy.copy(family.processor)
    if template is not None:
        family.processor.chat_template = template
    return SampleEncoder(family, prompt="Write alt-text.", context_label="Context:", max_length=2048)


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_learned_beside_an_answer_is_shown(case, chat):
    template, problem = BAD[case]
    with pytest.raises(TrifacetError) as caught:
        try_answer(encoder_of(chat, template), 1)
    assert problem in str(caught.value)
    assert "It asks by " in str(caught.value)
    assert "and learns from " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        TURNS + ANSWERS,
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n{% endif %}" + TURNS + ANSWERS,
        TURNS.replace(SAYS, "{{ part['text'] | trim }}") + ANSWERS,
        TURNS.replace("<|im_end|>", "{% generation %} {% endgeneration %}<|im_end|>") + ANSWERS,
        SAID + "{% if add_generation_prompt %}assistant:{% endif %}",
    ],
    ids=["plain", "system", "trims", "generation", "no end of its own"],
)
def test_templates_by_which_the_answer_alone_is_learned_pass(template, chat):
    for images in (1, 0, 2):
        try_answer(encoder_of(chat, template), images)


def test_a_tokenizer_that_ends_every_text_is_refused(chat):
    from tokenizers.processors import TemplateProcessing

    encoder = encoder_of(chat)
    encoder.tokenizer = copy.deepcopy(encoder.tokenizer)
    end = encoder.tokenizer.eos_token
    ends = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, encoder.tokenizer.eos_token_id)])
    encoder.tokenizer.backend_tokenizer.post_processor = ends
    with pytest.raises(TrifacetError, match=r"ends every text \(add_eos_token of tokenizer_config\.json\)"):
        try_answer(encoder, 1)


def test_the_file_of_the_template_is_named_at_load(family_folders, tmp_path):
    import shutil

    folder = shutil.copytree(family_folders("internvl"), tmp_path / "model")
    (folder / "chat_template.jinja").write_text(BAD["no generation prompt"][0])
    with pytest.raises(
        TrifacetError, match=r"^\S+chat_template\.jinja: the chat template has '<\|im_start\|>assistant'"
    ):
        load_processor(folder)
