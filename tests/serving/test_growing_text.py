"""The pieces of a text, whatever tokens it comes in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from trifacet.serving.growing_text import GrowingText, Wish

LOGITS = torch.zeros(300)


class Bytes:
    """A tokenizer of bytes; 256 ends a text."""

    clean_up_tokenization_spaces = False

    def decode(self, tokens, skip_special_tokens=False):
        return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")


def written(text, **wish):
    """What comes of a text's bytes: the pieces, and the text itself when it has ended."""
    grows = GrowingText(Wish(**{"ends": frozenset([256]), "longest": 1000, "streamed": True, **wish}), Bytes())
    pieces = []
    for token in [*text.encode("utf-8"), 256]:
        ended = grows.took(token, LOGITS)
        if (piece := grows.piece()) is not None:
            pieces.append(piece)
        if ended:
            break
    return grows, pieces


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_pieces_join_to_the_text_up_to_the_first_stop(text, stop):
    grows, pieces = written(text, stop=stop)
    places = [text.find(one) for one in stop if one in text]
    if not places:
        assert grows.text == text.strip()
    else:
        # a stop that ends sooner is found sooner, wherever another one begins
        assert grows.text == grows.text.strip() and text.lstrip().startswith(grows.text)
        assert not any(one in grows.text for one in stop)
    assert "".join(piece.text for piece in pieces) == grows.text
    assert [piece.finish for piece in pieces][-1] == "stop"


def test_a_character_of_several_tokens_comes_whole():
    _, pieces = written("é 🐕")
    assert "\ufffd" not in "".join(piece.text for piece in pieces)


def test_begun_anew_the_pieces_go_on_where_they_were():
    wish = Wish(frozenset([256]), 100, streamed=True)
    grows, told = GrowingText(wish, Bytes()), []
    for time in range(2):
        for token in b"a red kite"[: 5 if time == 0 else None]:
            grows.took(token, LOGITS)
            told += [piece.text] if (piece := grows.piece()) else []
        grows.begin_anew() if time == 0 else grows.took(256, LOGITS)
    last = grows.piece()
    assert "".join([*told, last.text]) == grows.text == "a red kite" and last.finish == "stop"


@pytest.mark.parametrize("likeliest", [0, 3])
def test_logprobs_are_told_once_for_each_token(likeliest):
    for stop in ((), ("kit",)):
        grows, pieces = written("a red kite", likeliest=likeliest, stop=stop)
        told = [entry for piece in pieces for entry in piece.logprobs]
        assert told == grows.logprobs and "".join(entry["token"] for entry in told).strip() == grows.text
        assert {len(entry["top_logprobs"]) for entry in told} == {likeliest}


def byte_level():
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(letters, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return made


def byte_fallback():
    spelled = ["a", " ", "\u00e9", *(f"<0x{byte:02X}>" for byte in range(256))]
    words = {spelling: number for number, spelling in enumerate(spelled)}
    made = Tokenizer(models.BPE(words, [], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return made


@pytest.mark.parametrize("made", [byte_level, byte_fallback])
def test_the_bytes_of_tokens_join_to_the_text(made):
    text = "a \u00e9\U0001f600a \u20ac"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made())
    grows = GrowingText(Wish(frozenset(), 100, likeliest=0), tokenizer)
    for token in tokenizer(text)["input_ids"]:
        grows.took(token, LOGITS)
    assert len(grows.logprobs) > len(text)
    assert bytes(byte for entry in grows.logprobs for byte in entry["bytes"]).decode("utf-8") == text
