"""Answers are read strictly; estimates follow their stated rules."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifacet.llm.estimate import image_tokens, text_tokens
from trifacet.llm.model import Question
from trifacet.llm.parsing import UnparsedError, looks_refused, parse_object
from trifacet.llm.pictures import SentPicture

KEYS = {"better": ("A", "B"), "why": str, "sure": bool, "score": float, "facts": list}
GOOD = {"better": "A", "why": "x", "sure": True, "score": 1, "facts": ["y"]}


@pytest.mark.parametrize("frame", ["{}", " \n{}\n", "```json\n{}\n```", "```\n{}\n```", "\n```JSON\n{}\n```\n"])
def test_bare_or_in_one_fence(frame):
    assert parse_object(frame.replace("{}", json.dumps(GOOD, indent=1)), KEYS) == GOOD


@pytest.mark.parametrize("frame", ["Sure: {}", "{}\nI hope this helps", "```\n{}\n```\nbye", "{}{}", "[{}]", "`{}`"])
def test_nothing_around_it(frame):
    with pytest.raises(UnparsedError):
        parse_object(frame.replace("{}", json.dumps(GOOD)), KEYS)


@pytest.mark.parametrize(
    "changed",
    [
        {"better": "C"}, {"better": "a"}, {"better": ["A"]}, {"why": None}, {"sure": 1}, {"sure": "true"},
        {"score": True}, {"score": "1"}, {"facts": "y"}, {"facts": [1]}, {"more": 1},
    ],
)  # fmt: skip
def test_exact_keys_and_types(changed):
    with pytest.raises(UnparsedError):
        parse_object(json.dumps(GOOD | changed), KEYS)
    for key in GOOD:
        with pytest.raises(UnparsedError):
            parse_object(json.dumps({name: value for name, value in GOOD.items() if name != key}), KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        '{"a": "x", "a": "y"}',
        '{"a": NaN}',
        '{"a": "x"',
        '{"a": "' + "x" * 300_000 + '"}',
        '{"a": "\\ud800"}',
    ],
)
def test_hostile_json(text):
    with pytest.raises(UnparsedError):
        parse_object(text, {"a": str})


@given(st.text())
def test_any_text_parses_or_is_unparsed(text):
    with suppress(UnparsedError):
        assert parse_object(text, {"a": str}).keys() == {"a"}


@pytest.mark.parametrize(
    "text", ["I'm sorry, but I can't", "I’m unable to help", "Sorry, no.", "I cannot assist", "As an AI"]
)
def test_refusals(text):
    assert looks_refused(text)


@pytest.mark.parametrize("text", ["A sorry sight", '{"answer": "I cannot"}', "I can see a cat", "I'm sorry. " * 100])
def test_no_refusals(text):
    assert not looks_refused(text)


def test_estimates_follow_their_rules():
    assert text_tokens("") == 0 and text_tokens("a" * 40) == 10 and text_tokens("日本") == 3
    assert image_tokens(768, 768) == 28 * 28 and image_tokens(1536, 768, side=768) == 28 * 14
    assert image_tokens(1, 10_000, side=100) == 4 and image_tokens(50, 50, side=768) == 4
    short, long = (
        Question("m", "You.", text, pictures, 0.0, 50, 0).tokens
        for text, pictures in (("Post: cat", ()), ("Post: " + 100 * "cat", (SentPicture(Path("a.png"), "", 384, 384),)))
    )
    assert short[1] == long[1] == 50 and short[0] == (1 + 4) + (3 + 4)
    assert 196 + 70 < long[0] - short[0] < 196 + 80
