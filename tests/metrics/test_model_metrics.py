"""CLIPScore and BERTScore on tiny random models: the published arithmetic, safetensors only, reasons else."""

import sys

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    CLIPConfig,
    CLIPModel,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from trifacet.base.errors import TrifacetError
from trifacet.base.images import load_image
from trifacet.demo.tiny import train_tokenizer
from trifacet.metrics.bertscore import BERT_SCORES, BertScorer, bert_extra
from trifacet.metrics.clipscore import ClipScorer, clip_extra
from trifacet.metrics.scores import score_texts
from trifacet.metrics.target import Reference

WORDS = ["a", "red", "disc", "on", "the", "grass", "two", "blue", "rings"]
TEXTS = ["a red disc", "two blue rings on the grass", "the grass", "a a a a red red"]
REFERENCES = ["a disc on grass", "blue rings", "red disc", "the the disc"]
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "clip-tiny"
    tokenizer = train_tokenizer(["A photo depicts a red disc on the grass", *TEXTS], 400)
    text = {
        **SMALL,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 24,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(1)
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8}, projection_dim=16)
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert") / "bert-tiny"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizer(vocab={word: place for place, word in enumerate(vocabulary)}).save_pretrained(folder)
    torch.manual_seed(2)
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=20, **SMALL)).save_pretrained(folder)
    return folder


def targets(images=True):
    return [Reference(str(place), (text,), f"{place}.png" if images else None) for place, text in enumerate(REFERENCES)]


def texts():
    return {str(place): text for place, text in enumerate(TEXTS)}


def test_clip_score_is_the_models_own_cosine(clip_folder, photos):
    scorer = ClipScorer(str(clip_folder), device="cpu")
    pictures = [load_image(photos, f"{place}.png") for place in range(len(TEXTS))]
    words = scorer.tokens([f"A photo depicts {text}" for text in TEXTS], return_tensors="pt", padding=True)
    pixels = scorer.images(images=pictures, return_tensors="pt")
    with torch.inference_mode():
        logits = scorer.model(**words, **pixels).logits_per_text.diagonal() / scorer.model.logit_scale.exp()
    expected = (2.5 * logits.clamp(min=0)).tolist()
    assert scorer(TEXTS, pictures) == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 4) for value in expected}) > 1
    assert min(scorer(["red disc " * 500], pictures[:1])) >= 0  # longer than CLIP reads

    scores = score_texts(texts(), targets(), profiles=(), extras=[clip_extra(str(clip_folder), photos, device="cpu")])
    assert [row["clip_score"] for row in scores.per_sample.values()] == pytest.approx(expected, abs=1e-5)
    measure = next(measure for measure in scores.measures if measure.name == "clip_score")
    assert "clip-vit-base-patch32" in measure.unofficial


def test_clip_score_never_falls_below_zero(clip_folder, photos, monkeypatch):
    scorer = ClipScorer(str(clip_folder), device="cpu")
    pictures = [load_image(photos, "0.png")]
    usual = type(scorer.model).get_text_features

    def turned(self, **given):
        found = usual(self, **given)
        pixels = scorer.images(images=pictures, return_tensors="pt")
        found.pooler_output = -self.get_image_features(**pixels).pooler_output
        return found

    monkeypatch.setattr(type(scorer.model), "get_text_features", turned)
    assert scorer(["a disc"], pictures) == [0.0]


def test_without_images_there_is_no_clip_score_and_bad_ones_name_the_sample(clip_folder, photos):
    extra = clip_extra(str(clip_folder), photos, device="cpu")
    scores = score_texts(texts(), targets(images=False), profiles=(), extras=[extra])
    assert scores.metrics["clip_score"] is None
    assert any("name no image" in note for note in scores.notes)
    with pytest.raises(TrifacetError, match=r"sample 'x'.*outside"):
        score_texts({"x": "a"}, [Reference("x", (), "../0.png")], profiles=(), extras=[extra])


def test_bert_score_is_the_packages_whole_path(bert_folder, monkeypatch):
    """The package loads model and tokenizer itself here; it needs to be told how long texts may be."""
    package = pytest.importorskip("bert_score", reason="needs bert-score (extra evaluate)")
    from bert_score import score as module_function
    from transformers import AutoTokenizer

    usual = AutoTokenizer.from_pretrained
    module = __import__("sys").modules[module_function.__module__]
    monkeypatch.setattr(module, "get_tokenizer", lambda name, fast: usual(name, model_max_length=18))
    theirs = package.score(TEXTS, REFERENCES, model_type=str(bert_folder), num_layers=2, device="cpu")
    ours = BertScorer(str(bert_folder), layer=2, device="cpu")(TEXTS, REFERENCES)
    assert torch.tensor(ours).T.tolist() == [pytest.approx(values.tolist(), abs=1e-5) for values in theirs]
    assert ours != BertScorer(str(bert_folder), layer=3, device="cpu")(TEXTS, REFERENCES)


def test_bert_score_takes_the_best_reference_and_empty_texts(bert_folder):
    pytest.importorskip("bert_score", reason="needs bert-score (extra evaluate)")
    samples = [Reference("a", (REFERENCES[0], TEXTS[0])), Reference("b", ("red disc",)), Reference("c", ())]
    extra = bert_extra(str(bert_folder), layer=2, device="cpu")
    scores = score_texts({"a": TEXTS[0], "b": " ", "c": "a"}, samples, profiles=(), extras=[extra])
    assert [scores.per_sample["a"][name] for name in BERT_SCORES] == pytest.approx([1, 1, 1], abs=1e-5)
    assert [scores.per_sample["b"][name] for name in BERT_SCORES] == [0, 0, 0]
    assert not set(BERT_SCORES) & set(scores.per_sample["c"])
    assert max(BertScorer(str(bert_folder), layer=2, device="cpu")(["red " * 90], ["disc"])[0]) <= 1 + 1e-5


def test_robertas_first_word_is_a_word_like_others(tmp_path):
    pytest.importorskip("bert_score", reason="needs bert-score (extra evaluate)")
    pieces = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces.train_from_iterator([f"x {word}" for word in WORDS] * 9, vocab_size=400, special_tokens=special)
    pieces.save_model(str(tmp_path))
    RobertaTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    config = RobertaConfig(vocab_size=pieces.get_vocab_size(), max_position_embeddings=24, **SMALL)
    RobertaModel(config).save_pretrained(tmp_path)
    scorer = BertScorer(str(tmp_path), layer=1, device="cpu")
    first, inside = scorer.tokens.encode("disc")[1], scorer.tokens.encode("red disc")[2]
    assert first == inside
    assert scorer(["red " * 60], ["disc"])


def test_models_that_cannot_be_used_say_why(bert_folder, clip_folder, tmp_path, monkeypatch):

    with pytest.raises(TrifacetError, match="not a clip"):
        ClipScorer(str(bert_folder))
    with pytest.raises(TrifacetError, match="cannot be loaded"):
        ClipScorer(str(tmp_path / "none"))
    with pytest.raises(TrifacetError, match="bert-score-layer"):
        BertScorer(str(bert_folder))
    with pytest.raises(TrifacetError, match="layers 0 to 3"):
        BertScorer(str(bert_folder), layer=4)
    pickled = tmp_path / "pickled"
    BertConfig(**SMALL).save_pretrained(pickled)
    torch.save({}, pickled / "pytorch_model.bin")
    with pytest.raises(TrifacetError, match="safetensors"):
        BertScorer(str(pickled), layer=1)
    monkeypatch.setitem(sys.modules, "bert_score", None)
    with pytest.raises(TrifacetError, match=r"pip install 'trifacet\[evaluate\]'"):
        BertScorer(str(bert_folder), layer=1)
