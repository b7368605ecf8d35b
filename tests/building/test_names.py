"""People's names go, whichever real pipeline finds them, in all texts of the row; names on the list stay."""

import shutil
import string

import pytest
from building.rows_of import run_step
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trifacet.base.errors import TrifacetError
from trifacet.base.name_words import name_key
from trifacet.building.name_finders import PIECE, spacy_finder, transformers_finder
from trifacet.building.steps import names
from trifacet.building.steps.names import merge_spans

PEOPLE = ["Anna Smith", "Bob", "Taylor Swift", "Will Rose", "Amélie", "田中"]


@pytest.fixture(scope="module")
def ruler(tmp_path_factory):
    """A spaCy pipeline that knows some names, on disk."""
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("xx")
    patterns = [{"label": "PERSON", "pattern": name} for name in PEOPLE]
    patterns += [{"label": "PERSON", "pattern": "Mr Bob"}, {"label": "GPE", "pattern": "Paris"}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)
    folder = tmp_path_factory.mktemp("ruler")
    nlp.to_disk(folder)
    return str(folder)


def texts_after(folder, pipeline, rows, **parameters):
    rows = [{"context": context, "alt": alt} for context, alt in rows]
    stay, events = run_step(names.STEP, rows, folder, pipeline=pipeline, **parameters)
    assert [row["row"] for row in stay] == list(range(len(rows)))  # no row leaves
    for event in events:
        assert event["verdict"] == "change" and event["reason"] == "names replaced"
        assert rows[event["row"]][event["field"]] == event["before"] and event["before"] != event["after"]
        assert stay[event["row"]][event["field"]] == event["after"]
    return [(row["context"], row["alt"]) for row in stay]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Anna Smith's dog", "[person]'s dog"),
        ("Bob’s dog in Paris", "[person]’s dog in Paris"),
        ("Mr Bob and Anna Smith, Bob!", "[person] and [person], [person]!"),
        ("Anna Smith Bob", "[person]"),  # neighbours are one name
        ("Amélie paints.", "[person] paints."),
        ("No name here.", "No name here."),
        ("", ""),
        ("[person] and Bob", "[person] and [person]"),
    ],
)
def test_names_become_the_replacement(ruler, tmp_path, before, after):
    assert texts_after(tmp_path, {"spacy": ruler}, [("", before)]) == [("", after)]


def test_a_name_found_in_one_text_goes_from_the_other_too(ruler, tmp_path):
    rows = [("With Anna Smith today", "Anna laughs. Smith too; Annabel does not."), ("Nobody", "Anna laughs.")]
    assert texts_after(tmp_path, {"spacy": ruler}, rows) == [
        ("With [person] today", "[person] laughs. [person] too; Annabel does not."),
        ("Nobody", "Anna laughs."),
    ]
    assert texts_after(tmp_path, {"spacy": ruler}, rows[:1], alone=False) == [("With [person] today", rows[0][1])]
    rows = [("By Will Rose", "Will a red Rose do?")]  # words too: only where the pipeline sees a name
    assert texts_after(tmp_path, {"spacy": ruler}, rows) == [("By [person]", "Will a red Rose do?")]
    rows = [("Anna Smith", "Anna")]
    assert texts_after(tmp_path, {"spacy": ruler}, rows, fields=["context"]) == [("[person]", "Anna")]


NFD = "Ame\u0301lie"


@pytest.mark.parametrize(
    ("found", "elsewhere", "after"),
    [
        ("Anna Smith", "ANNA SMITH laughs, anna smith too", "[person] laughs, [person] too"),
        ("Anna Smith", "ANNA and smith", "[person] and [person]"),
        ("Anna Smith", "Anna  Smith, Anna\u00a0Smith", "[person], [person]"),
        ("Amélie", f"{NFD} and {NFD.upper()}’s cat", "[person] and [person]’s cat"),
        ("Sean O'Brien", "Sean O’Brien, O\u02bcBrien's hat", "[person], [person]'s hat"),
        ("Anna-Lena Meier-Schmidt", "Lena, Schmidt; Meier\u2011Schmidt", "[person], [person]; [person]"),
        ("Anna-Lena Meier-Schmidt", "Annabel Lenas", "Annabel Lenas"),
        ("Will Rose", "WILL ROSE, will a Rose?", "[person], will a Rose?"),
        ("Vincent van Gogh", "a van by van Gogh, GOGH", "a van by [person], [person]"),
        ("Ｂｏｂ", "Bob", "[person]"),
        ("Straße Weiß", "STRASSE WEISS", "[person]"),
    ],
)
def test_a_name_goes_in_whatever_way_it_is_written(found, elsewhere, after):
    parameters = names.Parameters.model_validate({"pipeline": {"spacy": "none"}})
    texts = (f"With {found} today", elsewhere)
    replaced = names.replace_names(texts, [[(5, 5 + len(found))], []], parameters, frozenset())
    assert [text for text, _ in replaced] == ["With [person] today", after]
    whole = parameters.model_copy(update={"alone": False})
    (_, count), _ = names.replace_names((found, found.upper()), [[(0, len(found))], []], whole, frozenset())
    assert count == 1


@pytest.mark.parametrize(
    ("text", "span", "alt", "after"),
    [
        ("By Vincent van Gogh in Arles", "Vincent van Gogh", "van Gogh's bed, a Gogh", "van Gogh's bed, a Gogh"),
        ("By Vincent van Gogh in Arles", "van Gogh", "a bed by van Gogh", "a bed by van Gogh"),
        ("By VINCENT  van Gogh in Arles", "Gogh", "van Gogh", "van Gogh"),
        ("By Theo van Gogh in Arles", "Theo van Gogh", "by Theo", "by [person]"),
        ("By O’Neil in Arles", "O’Neil", "O'Neil", "O'Neil"),
    ],
)
def test_the_parts_of_a_kept_name_stay_with_it(text, span, alt, after):
    parameters = names.Parameters.model_validate({"pipeline": {"spacy": "none"}})
    place = text.index(span), text.index(span) + len(span)
    keep = names._kept(("vincent van gogh", "o'neil"), None)
    (first, _), (second, _) = names.replace_names((text, alt), [[place], []], parameters, keep)
    assert second == after
    assert first == (text if after == alt else text.replace(span, "[person]"))


@given(st.text(st.sampled_from("ab Éé\u0301ßİK'’-\u2011 \n."), max_size=30))
def test_places_in_the_folded_text_are_places_of_the_text(text):
    pattern = names._anywhere({"a", "éa", "ss", "b-a"})
    for start, end in names._found(pattern, text):
        assert name_key(text[start:end]) in {"a", "éa", "ss", "b-a"}


def test_names_on_the_list_stay(ruler, tmp_path):
    (tmp_path / "public.txt").write_text("TAYLOR  swift\n\n", encoding="utf-8-sig")
    rows = [("Taylor Swift and Bob", "Swift sings, Bob claps"), ("Anna Smith", "Bob")]
    expected = [("Taylor Swift and [person]", "Swift sings, [person] claps"), ("[person]", "[person]")]
    assert texts_after(tmp_path, {"spacy": ruler}, rows, keep=["taylor swift"]) == expected
    assert texts_after(tmp_path, {"spacy": ruler}, rows, keep_file=str(tmp_path / "public.txt")) == expected
    partly = texts_after(tmp_path, {"spacy": ruler}, rows[:1], keep=["swift"])
    assert partly == [("[person] and [person]", "Swift sings, [person] claps")]
    with pytest.raises(TrifacetError, match=r"none\.txt: no such file"):
        texts_after(tmp_path, {"spacy": ruler}, rows, keep_file=str(tmp_path / "none.txt"))


def test_parts_and_replacement_do_not_matter_to_what_is_found(ruler, tmp_path):
    rows = [("Anna Smith", f"{name} number {number}") for number, name in enumerate(PEOPLE)]
    whole = texts_after(tmp_path, {"spacy": ruler}, rows, replacement="jemand")
    some = [{"context": context, "alt": alt} for context, alt in rows]
    parts, _ = run_step(
        names.STEP, some, tmp_path, part_rows=2, pipeline={"spacy": ruler}, replacement="jemand", batch=1
    )
    assert [(row["context"], row["alt"]) for row in parts] == whole
    again = texts_after(tmp_path, {"spacy": ruler}, whole, replacement="jemand")
    assert again == whole  # done once


def test_a_huge_text_is_read_in_pieces(ruler):
    text = "word " * (PIECE // 2) + "Anna Smith " + "x" * (2 * PIECE) + " Bob"
    (found,) = spacy_finder(ruler, ["PERSON"])([text], 4)
    assert [text[start:end] for start, end in found] == ["Anna Smith", "Bob"]


@pytest.mark.parametrize(
    ("text", "spans", "merged"),
    [
        ("see Johnson now", [(4, 6)], ["Johnson"]),  # a piece of a word
        ("J. Smith", [(0, 1), (3, 8)], ["J. Smith"]),
        ("Anna. Bob", [(0, 4), (6, 9)], ["Anna", "Bob"]),
        ("(Anna-Lena)", [(0, 5), (6, 11)], ["Anna-Lena"]),
        ("Anna, Bob", [(0, 9), (6, 9)], ["Anna, Bob"]),
        ("田中さんは犬", [(0, 2)], ["田中"]),  # no spaces between words: nothing to widen to
        ("Rene\u0301 laughs", [(0, 4)], ["Rene\u0301"]),
        ("...", [(0, 3)], []),
    ],
)
def test_spans_become_whole_names(text, spans, merged):
    assert [text[start:end] for start, end in merge_spans(text, spans)] == merged


def test_the_pipeline_and_the_list_are_known_by_their_content(ruler, tmp_path):
    folder, names_kept = tmp_path / "ruler", tmp_path / "keep.txt"
    shutil.copytree(ruler, folder)
    names_kept.write_text("Bob\n")
    given = {"pipeline": {"spacy": str(folder)}, "keep_file": str(names_kept)}
    parameters = names.STEP.parameters.model_validate(given)
    first = names.STEP.outside(parameters)
    shutil.copytree(folder, tmp_path / "copy")
    moved = given | {"pipeline": {"spacy": str(tmp_path / "copy")}}
    assert names.STEP.outside(names.STEP.parameters.model_validate(moved)) == first
    names_kept.write_text("Bob\nAmélie\n")
    second = names.STEP.outside(parameters)
    (folder / "meta.json").write_text("{}")
    third = names.STEP.outside(parameters)
    assert {name for name in first if first[name] != second[name]} == {"keep_file"}
    assert {name for name in first if second[name] != third[name]} == {"pipeline"}
    installed = given | {"pipeline": {"spacy": "pydantic"}}  # as a pipeline that is a package
    assert names.STEP.outside(names.STEP.parameters.model_validate(installed))["pipeline"].startswith("version 2.")


def test_wrong_pipelines_are_refused(ruler, tmp_path):
    with pytest.raises(TrifacetError, match=r"knows none of the labels PER; its labels are GPE, PERSON"):
        spacy_finder(ruler, ["PER"])
    with pytest.raises(TrifacetError, match="cannot be loaded as a spaCy pipeline"):
        spacy_finder(str(tmp_path), ["PER"])
    with pytest.raises(TrifacetError, match="cannot be loaded as a checkpoint"):
        transformers_finder(str(tmp_path), ["PER"])
    for wrong in ({}, {"spacy": "a", "transformers": "b"}):
        with pytest.raises(ValidationError, match="name one pipeline"):
            names.Parameters.model_validate({"pipeline": wrong})


# a transformers model, trained on the spot


FIRST = ["Anna", "Bella", "Carla", "Dora", "Erik", "Frido", "Gustav", "Hanna"]
WORDS = [
    "a",
    "the",
    "dog",
    "cat",
    "sits",
    "runs",
    "with",
    "by",
    "and",
    "in",
    "on",
    "park",
    "beach",
    "red",
    "old",
    "laughs",
    "sees",
    "ball",
]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A small BERT over characters' pieces that has learned for some seconds that FIRST are names."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    letters = [*string.ascii_letters, *(f"##{letter}" for letter in string.ascii_letters)]
    pieces = ["An", "##na", "Fr", "##ido", "##ik", "Er"]  # names of several tokens
    kinds = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *FIRST[1:4], *pieces, *letters, *".,'!?’"])
    vocabulary = {token: number for number, token in enumerate(kinds)}
    base = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    base.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    base.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    labels = {0: "O", 1: "B-PER", 2: "I-PER"}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, id2label=labels, label2id={name: number for number, name in labels.items()},
    )  # fmt: skip
    model = BertForTokenClassification(config).train()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(120):
        chosen = torch.randint(len(WORDS) + 2 * len(FIRST), (16, 8), generator=generator).tolist()
        rows = [[(WORDS + FIRST * 2)[number] for number in row] for row in chosen]
        batch = tokenizer(
            rows, is_split_into_words=True, return_tensors="pt", padding=True, truncation=True, max_length=32
        )
        targets = torch.full_like(batch["input_ids"], -100)
        for row, line in enumerate(rows):
            last = None
            for place, word in enumerate(batch.word_ids(row)):
                if word is not None:
                    targets[row, place] = (2 if word == last else 1) if line[word] in FIRST else 0
                last = word
        loss = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=targets).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("tagger")
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_transformers_model_finds_names_too(tagger, tmp_path):
    rows = [
        ("the dog and Anna in the park", "Anna's dog runs"),
        ("a red ball", "Erik sees Frido, Dora laughs"),
        ("the cat", "a cat on the beach"),
    ]
    assert texts_after(tmp_path, {"transformers": str(tagger)}, rows, batch=2) == [
        ("the dog and [person] in the park", "[person]'s dog runs"),
        ("a red ball", "[person] sees [person], [person] laughs"),
        ("the cat", "a cat on the beach"),
    ]


def test_a_text_beyond_the_model_s_length_is_read_to_its_end(tagger):
    text = "the dog runs in the park and " * 12 + "Anna laughs"
    (found, none) = transformers_finder(str(tagger), ["PER"])([text, "the dog"], 2)
    assert {text[start:end] for start, end in merge_spans(text, found)} == {"Anna"} and none == []


def test_models_that_could_harm_or_are_not_trained_are_refused(tagger, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    pickled = tmp_path / "pickled"
    shutil.copytree(tagger, pickled)
    weights = load_file(pickled / "model.safetensors")
    torch.save(weights, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(TrifacetError, match="safetensors"):
        transformers_finder(str(pickled), ["PER"])
    headless = tmp_path / "headless"
    shutil.copytree(tagger, headless)
    save_file(
        {k: v for k, v in weights.items() if "classifier" not in k}, headless / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(TrifacetError, match=r"lacks weights classifier"):
        transformers_finder(str(headless), ["PER"])
    with pytest.raises(TrifacetError, match="its labels are O, PER"):
        transformers_finder(str(tagger), ["PERSON"])
