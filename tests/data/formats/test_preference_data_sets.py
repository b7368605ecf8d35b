"""Published preference data read as they are: RLHF-V, RLAIF-V, VLFeedback (Silkie), their hostile rows refused."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.data.formats import detect_format, iter_samples, read_samples, write_samples
from trifacet.preferences.changed import segments_of


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return file.getvalue()


RED = png("red")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def read(folder, row, kind="preference", name="auto"):
    file = folder / "d.jsonl"
    file.write_text(json.dumps(row), encoding="utf-8")
    lost = []
    ((_, sample),) = iter_samples(file, kind, name, on_lost=lambda number, what: lost.append(what))
    return sample, lost


# --- RLHF-V and RLAIF-V ------------------------------------------------------------------------------------------

TEXT = {"question": "What is on the flag?", "chosen": "A red star.", "rejected": "A red moon."}
SEGMENTS = [{"chosen": "star", "rejected": "moon"}]
RLHF_V = {
    "ds_name": "RLHF-V", "text": json.dumps(TEXT), "origin_dataset": "LLaVA", "idx": 3, "image_path": "a/b.jpg",
    "origin_split": json.dumps({"model": "x", "type": "question_answering"}), "segments": SEGMENTS,
}  # fmt: skip
RLAIF_V = {
    "ds_name": "RLAIF-V",
    "origin_dataset": "COCO",
    "origin_split": "{}",
    "idx": "7",
    "image_path": "b.jpg",
    **TEXT,
}
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize("name", ["auto", "rlhf-v", "rlaif-v"])
@pytest.mark.parametrize("row", [RLHF_V, RLAIF_V], ids=["RLHF-V", "RLAIF-V"])
def test_rlhf_v_and_rlaif_v_are_read_from_parquet_with_their_pictures(tmp_path, row, name):
    table = pa.Table.from_pylist([row]).append_column("image", pa.array([{"bytes": RED, "path": "b.jpg"}], STRUCT))
    pq.write_table(table, tmp_path / "d.parquet")
    (sample,) = read_samples(tmp_path / "d.parquet", "preference", name)
    assert (sample.prompt, sample.context, sample.response) == (TEXT["question"], "", TEXT["chosen"])
    assert sample.rejected_responses == (TEXT["rejected"],)
    assert resolve_inside(tmp_path, sample.image).read_bytes() == RED
    kept = {key: value for key, value in row.items() if key not in ("text", "image_path", *TEXT)}
    assert sample.extra == kept


@pytest.mark.parametrize("inside", [False, True])
def test_segments_are_kept_beside_the_text_or_in_it_and_come_back(tmp_path, inside):
    row = {**RLHF_V, "text": json.dumps({**TEXT, "segments": SEGMENTS})} if inside else RLHF_V
    row = {key: value for key, value in row.items() if not (inside and key == "segments")}
    sample, lost = read(tmp_path, row)
    assert segments_of(sample.extra) == (("star", "moon"),)
    assert lost == []
    assert write_samples([sample], tmp_path / "new.jsonl", "mcm-dpo", "preference") == []
    assert read_samples(tmp_path / "new.jsonl", "preference") == [sample]


def test_the_first_layout_of_rlhf_v_names_the_picture_in_image_path(tmp_path):
    first = {"dataset_name": "RLHF-V", "image": "train", "image_path": "a.jpg", "text": json.dumps(TEXT)}
    sample, lost = read(tmp_path, {**first, "origin_split_inner_idx": 5})
    assert (sample.image, sample.extra) == ("a.jpg", {"dataset_name": "RLHF-V", "origin_split_inner_idx": 5})
    assert lost == ["the column 'image' beside 'image_path': the name of a split"]
    with pytest.raises(DataError, match=r"row 1, field 'image_path': differs from image\.path"):
        read(tmp_path, first)  # elsewhere two names are two pictures


# --- VLFeedback --------------------------------------------------------------------------------------------------

ASPECTS = ("Helpfulness", "Ethical Considerations", "Visual Faithfulness")


def answer(text, *ratings, model="m"):
    annotations = {
        aspect: {"Rating": rating, "Rationale": "why"} for aspect, rating in zip(ASPECTS, ratings, strict=True)
    }
    return {"response": text, "model": model, "annotations": annotations}


ANSWERS = [
    answer("fair", "3", "5", "3"),
    answer("best", "5", "5", "4"),
    answer("worst", "1", "5", "1"),
    answer("good", "4", "5", "4"),
]
ROW = {"id": "7", "prompt": "What is it?", "models": ["m"] * 4, "img_path": "a.png", "completions": ANSWERS}


def test_answers_are_ranked_by_the_mean_of_their_ratings(tmp_path):
    sample, lost = read(tmp_path, ROW)
    assert (sample.id, sample.image, sample.prompt, sample.response) == ("7", "a.png", "What is it?", "best")
    assert sample.rejected_responses == ("good", "fair", "worst")  # version 1 is the best of them
    scores = [pytest.approx(one / 3) for one in (14, 13, 11, 7)]
    assert [one["score"] for one in sample.extra["ranking"]] == scores
    assert sample.extra["ranking"][0]["annotations"] == ANSWERS[1]["annotations"]  # rationales too
    assert sample.extra["models"] == ["m"] * 4
    assert lost == []
    assert read(tmp_path, ROW, "sft")[0].response == read(tmp_path, ROW, "test")[0].references[0] == "best"


def test_it_is_read_from_parquet_as_datasets_writes_it(tmp_path):
    columns = {key: [one[key] for one in ANSWERS] for key in ANSWERS[0]}
    table = pa.Table.from_pylist([{**ROW, "completions": columns}])
    table = table.append_column("image", pa.array([{"bytes": RED, "path": "a.png"}], STRUCT))
    pq.write_table(table, tmp_path / "d.parquet")
    assert detect_format(tmp_path / "d.parquet") == "vlfeedback"
    (sample,) = read_samples(tmp_path / "d.parquet", "preference", "vlfeedback")
    plain, _ = read(tmp_path, ROW)
    assert (sample.response, sample.rejected_responses) == (plain.response, plain.rejected_responses)
    assert sample.extra == {**plain.extra, "img_path": "a.png"}
    assert resolve_inside(tmp_path, sample.image).read_bytes() == RED


BEST = answer("a", "5", "5", "5")
ALIKE, UNRATED = "an answer that is rated like another one", "an answer that is not rated in every aspect"
TOLD = {
    "a tie": ([BEST, answer("b", "4", "5", "3"), answer("c", "5", "4", "3")], ("b",), [ALIKE]),
    "all alike": ([BEST, answer("b", "5", "5", "5")], (), [ALIKE]),
    "no number": ([BEST, answer("b", "N/A", "5", "5")], (), [UNRATED]),
    "not finite": ([BEST, answer("b", "nan", "inf", "5")], (), [UNRATED]),
    "no text": ([BEST, answer(" ", "4", "5", "5")], (), ["an answer without a text"]),
    "twice": ([BEST, answer("a ", "4", "5", "5")], (), ["an answer that is given twice"]),
    "no annotations": ([BEST, {"response": "b"}], (), [UNRATED]),
    "numbers": ([answer("a", 5, 5, 5), answer("b", 4.5, 5, 5)], ("b",), []),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_cannot_be_ranked_is_told(tmp_path, name):
    answers, rejected, expected = TOLD[name]
    sample, lost = read(tmp_path, {**ROW, "completions": answers})
    assert (sample.response, sample.rejected_responses, lost) == ("a", rejected, expected)


REFUSED = {
    "no answers": ({**ROW, "completions": []}, "field 'completions': is no list of answers"),
    "a text": ({**ROW, "completions": "best"}, "field 'completions': is no list of answers"),
    "texts": ({**ROW, "completions": ["best"]}, "field 'completions': is no list of answers"),
    "uneven": ({**ROW, "completions": {"response": ["a", "b"], "model": ["m"]}}, "lists differ in length"),
    "no lists": ({**ROW, "completions": {"response": "a", "model": ["m"]}}, "lists differ in length"),
    "too many": ({**ROW, "completions": [answer("a", "1", "1", "1")] * 1001}, "has 1001 answers; keep at most 1000"),
    "none rated": (
        {**ROW, "completions": [answer("a", None, True, "x")]},
        "has no answer that is rated; leave the row",
    ),
    "no prompt": ({**ROW, "prompt": None}, "field 'prompt': is missing"),
    "address": ({**ROW, "img_path": "https://example.org/a.png"}, "field 'img_path': is an address"),
    "broken text": ({**RLHF_V, "text": "[]"}, "field 'text': is not a JSON object in a string"),
    "no question": ({**RLHF_V, "text": json.dumps({"chosen": "a"})}, "field 'question': is missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_row_is_refused_by_file_row_and_field(tmp_path, name):
    row, words = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path, row)
    assert words in str(caught.value)
    assert "d.jsonl, row 1" in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_mistyped_name_finds_them():
    with pytest.raises(TrifacetError, match="unknown format 'vlfeedbak'; did you mean 'vlfeedback'"):
        read_samples("d.json", "preference", "vlfeedbak")
