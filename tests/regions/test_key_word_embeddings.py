"""Embeddings of key words: the policy's input embeddings of every family, and text encoders."""

import numpy as np
import pytest
import torch
from searching import some
from tiny_families import MAKERS, load_copy
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
)

from trifacet.base.errors import TrifacetError
from trifacet.demo.tiny import train_tokenizer
from trifacet.regions.keywords.choosing import choose
from trifacet.regions.keywords.embeddings import open_embedder, policy_embedder, text_embedder
from trifacet.regions.keywords.settings import KeyWords

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
RESPONSE = "A red disc and two blue rings lie on the grass."
WORDS = ["red disc", "grass", "blue rings"]


@pytest.mark.parametrize("name", some(MAKERS, "llava", "qwen2-vl", "gemma3"))
def test_the_policys_embedding_is_the_mean_over_the_words_own_tokens(name, family_folders):
    loaded = load_copy(family_folders(name))
    tokenizer = loaded.family.processor.tokenizer
    vectors = policy_embedder(loaded.model, tokenizer)([*WORDS, "!"])
    assert vectors.shape == (4, loaded.model.get_input_embeddings().weight.shape[1])
    table = loaded.model.get_input_embeddings().weight.detach()
    before = tokenizer.encode("the", add_special_tokens=False)
    for word, vector in zip(WORDS, vectors, strict=False):
        ids = tokenizer.encode(f"the {word}", add_special_tokens=False)
        assert ids[: len(before)] == before
        own = [one for one in ids[len(before) :] if tokenizer.decode([one]).strip()]  # no lone space
        scale = getattr(loaded.model.get_input_embeddings(), "embed_scale", torch.tensor(1.0)).item()  # Gemma's
        np.testing.assert_allclose(vector, scale * table[own].mean(dim=0).numpy(), rtol=1e-5, atol=1e-6)
    found = choose(RESPONSE, KeyWords(), open_embedder(KeyWords(), loaded.model, tokenizer))
    assert {word.text for word in found} == {"red disc", "blue rings", "grass"}


def test_a_piece_that_holds_the_space_counts_and_one_before_the_word_does_not():
    """As sentencepiece has it: a word's token holds the space before it, and a lone space may be a token."""
    vocabulary = {"<unk>": 0, "▁the": 1, "▁dog": 2, "▁": 3, "s": 4}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Metaspace()
    model = torch.nn.Module()
    table = torch.nn.Embedding.from_pretrained(torch.eye(5))
    model.get_input_embeddings = lambda: table
    embed = policy_embedder(model, PreTrainedTokenizerFast(tokenizer_object=plain))
    torch.testing.assert_close(torch.from_numpy(embed(["dog"])), torch.eye(5)[2:3])
    assert embed([]).shape[0] == 0


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "clip"
    tokenizer = train_tokenizer([RESPONSE], 300)
    text = {
        **SMALL,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 24,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(1)
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "bert"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *RESPONSE.lower().rstrip(".").split()]
    BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)}).save_pretrained(folder)
    torch.manual_seed(2)
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=20, **SMALL)).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["clip", "bert"])
def test_a_text_encoder_gives_each_word_its_own_vector(kind, clip_folder, bert_folder):
    embed = text_embedder(clip_folder if kind == "clip" else bert_folder, device="cpu")
    vectors = embed(WORDS)
    assert vectors.shape == (3, 16 if kind == "clip" else 32) and vectors.dtype == np.float32
    alone = np.concatenate([embed([word]) for word in reversed(WORDS)])[::-1]
    np.testing.assert_allclose(vectors, alone, rtol=1e-4, atol=1e-6)
    assert embed(["grass " * 100]).shape == (1, vectors.shape[1])  # cut to what the model reads
    assert len(embed([])) == 0


def test_bert_gives_the_mean_of_its_last_states(bert_folder):
    tokenizer, model = BertTokenizer.from_pretrained(bert_folder), BertModel.from_pretrained(bert_folder).eval()
    with torch.inference_mode():
        expected = model(**tokenizer(["blue rings"], return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
    np.testing.assert_allclose(
        text_embedder(bert_folder, device="cpu")(["blue rings", "grass"])[0], expected, atol=1e-6
    )


def test_a_similar_word_gains_by_the_text_encoder(clip_folder):
    embed = open_embedder(KeyWords(embeddings=clip_folder))
    with_it, without = (choose(RESPONSE, KeyWords(), one) for one in (embed, None))
    assert {word.text for word in with_it} == {word.text for word in without}
    assert [word.score for word in with_it] != [word.score for word in without]


def test_embeddings_are_loaded_where_they_have_a_say():
    for settings in (
        {"embeddings": "none"},
        {"method": "multipartite", "embeddings": "/no/such/folder"},
        {"mfpo": {"gamma": 0}, "embeddings": "/no/such/folder"},
    ):
        assert open_embedder(KeyWords(**settings)) is None
    with pytest.raises(TrifacetError, match=r"regions\.words\.embeddings: 'policy' needs .*; name it \(--model\)"):
        open_embedder(KeyWords())
    with pytest.raises(TrifacetError, match=r"regions\.words\.embeddings: /no/such/folder: cannot be loaded"):
        open_embedder(KeyWords(embeddings="/no/such/folder"))


def test_models_of_pictures_and_weights_in_pickles_are_refused(tmp_path, bert_folder):
    CLIPVisionModel(CLIPVisionConfig(**SMALL, image_size=32, patch_size=8)).save_pretrained(tmp_path / "vision")
    BertTokenizer.from_pretrained(bert_folder).save_pretrained(tmp_path / "vision")
    with pytest.raises(TrifacetError, match="is no encoder of texts; use one of the CLIP or BERT family"):
        text_embedder(str(tmp_path / "vision"))
    folder = tmp_path / "bert"
    BertTokenizer.from_pretrained(bert_folder).save_pretrained(folder)
    BertConfig.from_pretrained(bert_folder).save_pretrained(folder)
    torch.save(BertModel.from_pretrained(bert_folder).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(TrifacetError, match="safetensors"):
        text_embedder(str(folder))


def test_a_tokenizer_without_places_is_refused():
    with pytest.raises(TrifacetError, match="needs a fast tokenizer"):
        policy_embedder(torch.nn.Module(), object())
