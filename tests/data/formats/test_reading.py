"""Files of others as they really are, and files that are broken."""

import json

import pytest
from format_samples import PINTEREST, needs_pinterest

from trifacet.base.errors import DataError
from trifacet.data.formats import detect_format, iter_samples, read_samples, write_samples


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@needs_pinterest
def test_the_real_pairs_are_read_in_full():
    pairs = read_samples(PINTEREST / "pinterest_train.json", "preference")
    assert len(pairs) == 10
    for pair in pairs:
        assert pair.prompt == "given an image and context, generate alt-text for the image."
        assert pair.context
        assert "context:" not in pair.context.lower()
        assert len(pair.rejected_responses) == 1
        assert (PINTEREST / "image" / "pinterest_train" / pair.image).is_file()
        assert pair.extra["ds_name"] == "pinterest_data"


@needs_pinterest
def test_the_real_test_posts_are_read_in_full():
    posts = read_samples(PINTEREST / "pinterest_test.json", "test")
    assert [post.id for post in posts] == [f"row-{number}" for number in range(1, 11)]
    assert all(len(post.references) == 1 and post.context for post in posts)
    assert any("\n" in post.context for post in posts)


@needs_pinterest
@pytest.mark.parametrize("name", ["pinterest_train", "pinterest_test"])
def test_the_real_files_come_back_as_they_were(tmp_path, name):
    kind = "preference" if name.endswith("train") else "test"
    samples = read_samples(PINTEREST / f"{name}.json", kind)
    assert write_samples(samples, tmp_path / f"{name}.json", "mcm-dpo", kind) == []
    given = (PINTEREST / f"{name}.json").read_text(encoding="utf-8")
    rows = json.loads(given) if kind == "preference" else [json.loads(line) for line in given.splitlines()]
    assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) == rows


def test_mcm_dpo_fields_may_stand_only_inside_text(tmp_path):
    facets = {"question": "Describe.\nContext: one line", "chosen": "Cat", "rejected": "Dog"}
    row = {"image_path": "a.png", "text": json.dumps(facets), "idx": 4}
    (sample,) = read_samples(write(tmp_path / "d.json", [row]), "preference")
    assert (sample.prompt, sample.context, sample.response) == ("Describe.", "one line", "Cat")
    assert sample.rejected_responses == ("Dog",)
    assert sample.extra == {"idx": 4}


def test_trl_plain_and_implicit_prompts(tmp_path):
    said = [{"role": "user", "content": "<image>\nDescribe."}, {"role": "assistant", "content": "Cat"}]
    rows = [
        {"images": ["a.png"], "prompt": "Describe.\nContext:\nPost", "chosen": "Cat", "rejected": "Dog"},
        {
            "images": [{"path": "a.png", "bytes": None}],
            "chosen": said,
            "rejected": [said[0], said[1] | {"content": "Dog"}],
        },
    ]
    plain, implicit = read_samples(write(tmp_path / "d.jsonl", rows), "preference")
    assert detect_format(tmp_path / "d.jsonl") == "trl"
    assert (plain.prompt, plain.context, plain.rejected_responses) == ("Describe.", "Post", ("Dog",))
    assert (implicit.prompt, implicit.image, implicit.rejected_responses) == ("Describe.", "a.png", ("Dog",))


def test_llama_factory_alpaca_with_own_column_names(tmp_path):
    entry = {
        "file_name": "pets.json",
        "ranking": True,
        "columns": {"prompt": "ask", "query": "post", "chosen": "good", "rejected": "bad", "images": "pics"},
    }
    (tmp_path / "dataset_info.json").write_text(json.dumps({"mine": entry, "other": {"file_name": "x.json"}}))
    row = {"ask": "<image>Describe.", "post": "My cat", "good": "Cat", "bad": "Dog", "pics": ["a.png"], "note": 1}
    path = write(tmp_path / "pets.json", [row])
    (sample,) = read_samples(path, "preference")
    assert (sample.prompt, sample.context) == ("Describe.", "My cat")
    assert (sample.response, sample.rejected_responses, sample.extra) == ("Cat", ("Dog",), {"note": 1})
    write_samples([sample], tmp_path / "new.json", "llama-factory", "preference")
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["mine"] == entry
    assert info["new"]["ranking"] is True
    assert info["new"]["columns"]["messages"] == "conversations"


def test_llama_factory_openai_messages(tmp_path):
    messages = [{"role": "system", "content": "Brief."}, {"role": "user", "content": "<image>Describe."}]
    row = {"messages": messages, "images": ["a.png"]}
    row |= {"chosen": {"role": "assistant", "content": "Cat"}, "rejected": {"role": "assistant", "content": "Dog"}}
    (sample,) = read_samples(write(tmp_path / "d.jsonl", [row]), "preference")
    assert (sample.response, sample.rejected_responses, sample.extra) == ("Cat", ("Dog",), {"system": "Brief."})


def test_marks_of_several_images_stand_together_before_or_after_the_words(tmp_path):
    for text in ("<image><image>Describe.", "<image>\n<image>\nDescribe.", "Describe.\n<image> <image>", "Describe."):
        row = {"messages": [{"role": "user", "content": text}], "images": ["a.png", {"path": "b.png"}]}
        row["rejected_response"] = "Dog"
        row["messages"] += [{"role": "assistant", "content": "Cat"}]
        (sample,) = read_samples(write(tmp_path / "d.jsonl", [row]), "preference")
        assert (sample.prompt, sample.image, sample.more_images) == ("Describe.", "a.png", ("b.png",))


GOOD = '{"id": "a", "image": "a.png", "response": "Cat"}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + '\n{"id": "b", "image": }\n', "broken JSON at line 2, column 22"),
        ('[{"id": "a", "image": "a.png"},\n {"id": ]', "broken JSON at line 2, column 9"),
        (GOOD + "\n[1, 2]\n", "row 2: is not a JSON object but list"),
        (GOOD + "\n" + GOOD, "row 2, field 'id': id 'a' is already that of row 1"),
        ('{"id": "a", "image": "a.png"}', "row 1, field 'response': is missing"),
        ('{"id": "a", "image": "a.png", "response": " "}', "row 1, field 'response': is empty"),
        ('{"id": "a", "image": 3, "response": "Cat"}', "row 1, field 'image': input should be a valid string"),
        ('{"id": "a", "image": "a.png", "response": "Cat", "respnse": "x"}', "field 'respnse': is not a field"),
        ('{"id": "a", "image": "a.png", "response": "\\ud800"}', "half of a surrogate pair"),
        ("[" * 100_000, "cannot be read"),
        ("", "has no rows"),
        ('{"sense": 1}', "the format is not known by its fields (sense)"),
    ],
)
def test_broken_files_are_named_by_line_and_field(tmp_path, content, message):
    path = tmp_path / "d.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_samples(path, "sft")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_other_things_that_are_no_data_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / "none.jsonl", "sft")
    with pytest.raises(DataError, match="holds no Parquet shard"):
        read_samples(tmp_path, "sft")
    (tmp_path / "latin.jsonl").write_bytes(b'{"image": "caf\xe9"}')
    with pytest.raises(DataError, match="line 1 is not UTF-8"):
        read_samples(tmp_path / "latin.jsonl", "sft")
    (tmp_path / "half.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match="damaged Parquet"):
        read_samples(tmp_path / "half.parquet", "sft")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": "hello", "rejected_response": "x"}, "field 'messages': is not a list of messages"),
        ({"conversations": [{"from": "bot", "value": "x"}]}, "has a message with from 'bot'"),
        ({"prompt": [{"role": "user", "content": 3}], "chosen": "a"}, "field 'prompt': holds no text"),
        (
            {"images": ["a", "b"], "prompt": "<image>p", "chosen": "a", "rejected": "b"},
            "field 'prompt': has 1 <image> mark for images: 2; write one mark for each image, or none",
        ),
        ({"prompt": "<image>p", "chosen": "a", "rejected": "b"}, "field 'prompt': has 1 <image> mark for images: 0"),
        (
            {
                "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "p"}]}],
                "chosen": "a",
            },
            "field 'prompt': has 1 <image> mark for images: 0",
        ),
        (
            {"images": ["a", "b"], "prompt": "<image> and <image>", "chosen": "a", "rejected": "b"},
            "field 'prompt': has <image> marks with words between them; put all images before the words",
        ),
        (
            {
                "images": ["a", "b"],
                "messages": [
                    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "p"}, {"type": "image"}]}
                ],
                "chosen": "a",
            },
            "field 'messages': has images with words between them",
        ),
        (
            {"images": ["a", "b"], "rejected_images": ["a", "c"], "messages": [{"role": "user", "content": "p"}]},
            "field 'rejected_images': differs from images in more than the first",
        ),
        (
            {"images": ["a", "b"], "rejected_images": ["c"], "messages": [{"role": "user", "content": "p"}]},
            "field 'rejected_images': differs from images in more than the first",
        ),
        (
            {
                "rejected_images": ["c"],
                "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "x"}],
            },
            "field 'rejected_images': stands without 'image'",
        ),
        ({"question": "q", "image": ["a", "b"], "chosen": "c"}, "field 'image': has 2 images; use one image per row"),
        ({"id": "x", "more_images": ["b.png"], "response": "c"}, "field 'more_images': stands without 'image'"),
        ({"images": [{"bytes": "x"}], "prompt": "p", "chosen": "a"}, "field 'images': 'x' is no base64"),
        ({"question": "q", "image": {"path": "a"}, "image_path": "b", "chosen": "c"}, "differs from image.path"),
        ({"text": "not json", "image": "a.png"}, "field 'text': is not a JSON object in a string"),
        ({"question": "q", "image_path": "a", "chosen": " "}, "field 'chosen': is empty"),
    ],
)
def test_outside_rows_are_faulted_in_their_own_field_names(tmp_path, row, message):
    with pytest.raises(DataError) as caught:
        read_samples(write(tmp_path / "d.jsonl", [row]), "preference")
    assert message in str(caught.value)
    assert "row 1" in str(caught.value)


def test_reading_goes_on_after_a_problem_if_asked_to(tmp_path):
    path = tmp_path / "d.jsonl"
    second = GOOD.replace('"id": "a"', '"id": "b"')
    path.write_text("\n".join([GOOD, "{broken", '{"id": "c", "image": "", "response": ""}', GOOD, second]))
    problems = []
    rows = [number for number, _ in iter_samples(path, "sft", "trifacet", on_problem=problems.append)]
    assert rows == [1, 5]
    assert [(problem.row, problem.field) for problem in problems] == [
        (2, None),
        (3, "image"),
        (3, "response"),
        (4, "id"),
    ]
