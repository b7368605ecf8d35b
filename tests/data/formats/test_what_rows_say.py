"""What a row of somebody else's can say is used, refused in its own field, or told as lost: a table of situations."""

import base64
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.embedded import MAX_BYTES, file_name, from_text, keep_picture
from trifacet.base.errors import DataError
from trifacet.base.images import load_image, resolve_inside
from trifacet.data import rows
from trifacet.data.formats import Format, iter_samples


def png(colour, size=(60, 40)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


RED = png("red")
BASE64 = base64.b64encode(RED).decode()
URL = f"data:image/png;base64,{BASE64}"
IMAGES = {"images": ["a.png"]}
SYSTEM = {"role": "system", "content": "You speak to blind readers."}
ASKED = {"role": "user", "content": "<image>Describe it."}
SAID = {"role": "assistant", "content": "A flag."}
WRONG = {"role": "assistant", "content": "A cat."}
CONVERSATION = [{"from": "human", "value": "<image>\nDescribe it."}, {"from": "gpt", "value": "A flag."}]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def user(*parts):
    return {"role": "user", "content": [*parts, {"type": "text", "text": "Describe it."}]}


def trl(prompt=(ASKED,), chosen=(SAID,), rejected=(WRONG,), **more):
    return {"prompt": list(prompt), "chosen": list(chosen), "rejected": list(rejected), **more}


def swift(*messages, **more):
    return {"messages": list(messages) or [ASKED, SAID], "rejected_response": "A cat.", **IMAGES, **more}


def alpaca(**more):
    row = {"instruction": "<image>Describe it.", "input": "", "output": "A flag."}
    return {**row, "chosen": "A flag.", "rejected": "A cat.", **IMAGES, **more}


def sharegpt(*conversation, **more):
    chosen, rejected = ({"from": "gpt", "value": text} for text in ("A flag.", "A cat."))
    said = list(conversation) or CONVERSATION[:1]
    return {"conversations": said, "chosen": chosen, "rejected": rejected, **IMAGES, **more}


def read(folder, row, entry=None, kind="preference"):
    """The one sample and what is lost of its row."""
    file = folder / "d.json"
    file.write_text(json.dumps([row]), encoding="utf-8")
    if entry is not None:
        (folder / "dataset_info.json").write_text(json.dumps({"mine": {"file_name": "d.json", **entry}}))
    lost = []
    ((_, sample),) = iter_samples(file, kind, on_lost=lambda number, what: lost.append(what))
    return sample, lost


USED = {  # row, entry in dataset_info.json: what the sample has
    "trl system": (trl([SYSTEM, ASKED], **IMAGES), None, {"system": SYSTEM["content"]}),
    "swift system": (swift(SYSTEM, ASKED, SAID), None, {"system": SYSTEM["content"]}),
    "swift column": (swift(system="Brief."), None, {"system": "Brief."}),
    "sharegpt system": (sharegpt({"from": "system", "value": "Brief."}, *CONVERSATION[:1]), None, {"system": "Brief."}),
    "alpaca system": (alpaca(system="Brief.", history=[]), None, {"system": "Brief."}),
    "alpaca named": (alpaca(sys="Brief."), {"ranking": True, "columns": {"system": "sys"}}, {"system": "Brief."}),
    "sharegpt named": (
        sharegpt(sys="Brief."),
        {"formatting": "sharegpt", "columns": {"system": "sys"}},
        {"system": "Brief."},
    ),
    "rejected conversations": (
        {"image": "a.png", "conversations": CONVERSATION, "rejected_conversations": [CONVERSATION[0], WRONG]}
        | {"rejected_conversations": [CONVERSATION[0], {"from": "gpt", "value": "A cat."}]},
        None,
        {"image": "a.png"},
    ),
    "query and response": (
        {"query": "<image>Describe it.", "response": "A flag.", "rejected_response": "A cat.", **IMAGES},
        None,
        {},
    ),
    "img_path": ({"img_path": "a.png", "prompt": "Describe it.", "chosen": "A flag.", "rejected": "A cat."}, None, {}),
    "a question beside": (trl(question="Describe it.", **IMAGES), None, {"extra": {"question": "Describe it."}}),
    "implicit strings": (
        {
            "chosen": "\n\nHuman: Describe it.\n\nAssistant: A flag.",
            "rejected": "\n\nHuman: Describe it.\n\nAssistant: A cat.",
            **IMAGES,
        },
        None,
        {},
    ),
    "implicit lines": ({"chosen": "Describe it.\nA flag.", "rejected": "Describe it.\nA cat.", **IMAGES}, None, {}),
    "numbers of a table": (trl(id=3.0, **IMAGES), None, {"id": "3"}),
    "file address": (trl(images=["file:///data/x%20y.png"]), None, {"image": "/data/x y.png"}),
    "messages as text": ({"messages": json.dumps([ASKED, SAID]), "rejected_response": "A cat.", **IMAGES}, None, {}),
    **{
        f"part {name}": (trl([user(part)]), None, {"image": "a.png"})
        for name, part in {
            "image": {"type": "image", "image": "a.png"},
            "path": {"type": "image", "path": "a.png"},
            "url": {"type": "image", "url": "a.png"},
            "image_url": {"type": "image_url", "image_url": {"url": "a.png", "detail": "low"}},
            "image_url text": {"type": "image_url", "image_url": "a.png"},
            "input_image": {"type": "input_image", "image_url": "a.png"},
            "no type": {"image": "a.png"},
            "object": {"type": "image", "image": {"bytes": None, "path": "a.png"}},
        }.items()
    },
    "parts and column": (
        trl([user({"type": "image", "image": "z.png"}, {"type": "image"})], images=["a.png"]),
        None,
        {"image": "z.png", "more_images": ("a.png",)},
    ),
}


@pytest.mark.parametrize("name", USED)
def test_is_used(tmp_path, name):
    row, entry, expected = USED[name]
    sample, lost = read(tmp_path, row, entry)
    found = {"prompt": sample.prompt, "response": sample.response, "rejected": sample.rejected_responses}
    assert found == {"prompt": "Describe it.", "response": "A flag.", "rejected": ("A cat.",)}
    assert sample.image is not None
    assert {key: getattr(sample, key) for key in expected} == expected
    assert lost == []


EMBEDDED = {
    "data URL": trl(images=[URL]),
    "base64": trl(images=[BASE64]),
    "base64 of an object": trl(images=[{"bytes": BASE64, "path": None}]),
    "part of base64": trl([user({"type": "image", "base64": BASE64})]),
    "part of a data URL": trl([user({"type": "image_url", "image_url": {"url": URL}})]),
    "one text": trl(image=URL),
    "mcm-dpo": {"question": "Describe it.", "chosen": "A flag.", "rejected": "A cat.", "image": {"path": URL}},
    "sharegpt": sharegpt(images=[URL]),
    "ms-swift": swift(images=URL),
    "alpaca": alpaca(images=[URL]),
    "trifacet": {"image": URL, "prompt": "Describe it.", "response": "A flag.", "rejected_responses": ["A cat."]},
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_pictures_within_the_row_are_found_wherever_the_images_are(tmp_path, name):
    sample, _ = read(tmp_path, EMBEDDED[name])
    assert resolve_inside(tmp_path, sample.image).read_bytes() == RED
    assert load_image(tmp_path / "nowhere", sample.image).getpixel((0, 0)) == (255, 0, 0)


CHAT = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
BLUE = png("blue")
COLUMNS = {
    "bytes": ("images", pa.array([[RED], [BLUE]], pa.list_(pa.binary()))),
    "bytes and paths": (
        "images",
        pa.array([[{"bytes": RED, "path": "x.png"}], [{"bytes": BLUE, "path": "x.png"}]], pa.list_(STRUCT)),
    ),
    "no paths": ("images", pa.array([[{"bytes": RED}], [{"bytes": BLUE}]], pa.list_(STRUCT))),
    "one struct": ("image", pa.array([{"bytes": RED}, {"bytes": BLUE}], STRUCT)),
    "one binary": ("image", pa.array([RED, BLUE], pa.binary())),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_pictures_within_a_parquet_file_of_trl(tmp_path, name):
    column, images = COLUMNS[name]
    turns = {field: pa.array([[turn], [turn]], CHAT) for field, turn in (("chosen", SAID), ("rejected", WRONG))}
    pq.write_table(pa.table({"prompt": pa.array([[ASKED]] * 2, CHAT), column: images, **turns}), tmp_path / "d.parquet")
    samples = [sample for _, sample in iter_samples(tmp_path / "d.parquet", "preference")]
    assert [resolve_inside(tmp_path, sample.image).read_bytes() for sample in samples] == [RED, BLUE]
    assert all(sample.extra == {} for sample in samples)


def test_a_format_of_ones_own_may_hand_on_the_picture_itself(tmp_path):
    own = Format(lambda row: {"image": row["photo"], "rejected_images": [{"bytes": BLUE, "path": "b.png"}]})
    values = own.reader(tmp_path / "d.json", "Context:")({"photo": RED})
    names = [values["image"], *values["rejected_images"]]
    assert [resolve_inside(tmp_path, name).read_bytes() for name in names] == [RED, BLUE]


def test_a_small_file_cannot_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_SWELLED", 1_000_000)
    texts = pa.array(["A flag."] * 64)
    for number, swollen in ((lambda at: at, True), (lambda at: 1, False)):  # 64 different ones; one, 64 times
        pictures = pa.array([RED + bytes(200_000) + bytes([number(at)]) for at in range(64)])
        table = pa.table({"image": pictures, "question": texts, "chosen": texts})
        pq.write_table(table, tmp_path / "d.parquet", compression="zstd")
        problems = []
        found = list(iter_samples(tmp_path / "d.parquet", "sft", on_problem=problems.append))
        assert [one.problem for one in problems] == ["holds pictures of more than 50 times its size"] * swollen
        assert (len(found) < 20) if swollen else (len(found) == 64)


REFUSED = {  # row, entry: field and words of the refusal
    "history": (alpaca(history=[["What?", "A dog."]]), None, "field 'history': has earlier turns"),
    "history named": (alpaca(old=[["a", "b"]]), {"columns": {"history": "old"}}, "field 'old': has earlier turns"),
    "old history": ({"query": "q", "response": "r", "history": [["a", "b"]]}, None, "field 'history': has earlier"),
    "video part": (trl([user({"type": "video", "video": "v.mp4"})]), None, "has a part of type 'video'"),
    "videos": (sharegpt(videos=["v.mp4"]), None, "field 'videos': is nothing that a model here is given"),
    "videos named": (alpaca(v=["v.mp4"]), {"columns": {"videos": "v"}}, "field 'v': is nothing"),
    "audios": (swift(audios=["v.wav"]), None, "field 'audios': is nothing"),
    "objects": (swift(objects={"ref": ["x"]}), None, "field 'objects': is nothing"),
    "tools": (trl(tools="[{}]", **IMAGES), None, "field 'tools': is nothing"),
    "tool calls": (
        trl(chosen=[{**SAID, "tool_calls": [{"x": 1}]}], **IMAGES),
        None,
        "field 'chosen': has a message with 'tool_calls'",
    ),
    "not trained": (swift(ASKED, {**SAID, "loss": False}), None, "an answer that is not to be trained ('loss': false)"),
    "weight 0": (trl(chosen=[{**SAID, "weight": 0}], **IMAGES), None, "not to be trained ('weight': 0)"),
    "trained request": (swift({**ASKED, "loss": True}, SAID), None, "has a request that is to be trained"),
    "unwanted": (
        {"prompt": "p", "completion": "c", "label": False, **IMAGES},
        None,
        "field 'label': says that the completion is not wanted",
    ),
    "kto": (alpaca(kto_tag=False), None, "field 'kto_tag': says that the answer is not wanted"),
    "greeting": (
        {"image": "a.png", "conversations": [CONVERSATION[1], CONVERSATION[0]]},
        None,
        "has a message of 'gpt' before that of 'human'; leave out what stands before the request",
    ),
    "prefix": (trl([ASKED, SAID], **IMAGES), None, "field 'prompt': ends with the beginning of an answer"),
    "two requests": (
        {"chosen": [ASKED, SAID], "rejected": [{**ASKED, "content": "Be rude."}, WRONG], **IMAGES},
        None,
        "field 'rejected': asks another question than chosen",
    ),
    "two systems": (
        trl([SYSTEM, ASKED], rejected=[{**SYSTEM, "content": "Be rude."}, WRONG], **IMAGES),
        None,
        "field 'rejected': has another system message than prompt",
    ),
    "sharegpt's other request": (
        {"image": "a.png", "conversations": CONVERSATION}
        | {"rejected_conversations": [{"from": "human", "value": "Who?"}, CONVERSATION[1]]},
        None,
        "field 'rejected_conversations': asks another question",
    ),
    "mark between words": ({"prompt": "Compare <image> with it.", "chosen": "x", **IMAGES}, None, "with words between"),
    "part between words": (
        trl([user({"type": "text", "text": "Compare "}, {"type": "image"})], **IMAGES),
        None,
        "has images with words between them",
    ),
    "mark in an answer": (swift(ASKED, {**SAID, "content": "<image>"}), None, "field 'messages': shows an image in"),
    "image in an answer": (
        trl(chosen=[{**SAID, "content": [{"type": "image"}, {"type": "text", "text": "x"}]}], **IMAGES),
        None,
        "field 'chosen': shows an image in an answer",
    ),
    "old tag": (
        swift({**ASKED, "content": "<img>a.png</img>What?"}, SAID, images=[]),
        None,
        "names an image within the text",
    ),
    "address": (trl(images=["https://example.org/a.png"]), None, "field 'images': is an address ('https://example.org"),
    "part's address": (trl([user({"type": "image", "url": "http://x/a.png"})]), None, "field 'images': is an address"),
    "null": (trl(images=[None]), None, "field 'images': is not a path (there is none: null)"),
    "nested": (trl(images=[["a.png"]]), None, "field 'images': is not a path (list)"),
    "broken base64": (trl(images=["data:image/png;base64,%%%"]), None, "field 'images': '%%%' is no base64"),
    "no base64": (trl(images=["data:image/svg+xml,<svg/>"]), None, "is no data URL of base64"),
    "a long text": (trl(images=["x" * 5000]), None, f"is not a path: '{'x' * 80}'... (5000 characters)"),
    "true": (trl(id=True, **IMAGES), None, "field 'id': input should be a valid string, got bool"),
    "strings of two requests": (
        {
            "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
            "rejected": "\n\nHuman: a\n\nAssistant: b",
        }
        | {"rejected": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: e"},
        None,
        "field 'chosen': has more than one request",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(tmp_path, name):
    row, entry, words = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read(tmp_path, row, entry)
    assert words in str(caught.value)
    assert "row 1" in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


LOST = {
    "name": (trl([{**ASKED, "name": "Ann"}], **IMAGES), None, ["a 'name' of messages"]),
    "reasoning": (swift(ASKED, {**SAID, "reasoning_content": "Hm."}), None, ["a 'reasoning_content' of messages"]),
    "bounds of a picture": (
        trl([user({"type": "image", "image": "a.png", "max_pixels": 99})]),
        None,
        ["a 'max_pixels' of parts of type 'image'"],
    ),
    "named columns": (
        alpaca(w=0.5),
        {"columns": {"weight": "w"}},
        ["the column 'w', which dataset_info.json names as 'weight'"],
    ),
    "images behind": (
        trl([{**ASKED, "content": "Describe it.<image>"}], **IMAGES),
        None,
        ["the place of images behind the words: they are shown before them"],
    ),
    "a column like an image": (
        {"prompt": "p", "chosen": "a", "rejected": "b", "photo": "a.png"},
        None,
        ["the column 'photo', which no format reads: is it an image?"],
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_is_told_as_lost(tmp_path, name):
    row, entry, lost = LOST[name]
    assert read(tmp_path, row, entry)[1] == lost


POST = "Mimi at last!\nContext: none.Context:\nmore"


@pytest.mark.parametrize(
    "text",
    [
        f"Write alt-text.Context:\n{POST}",
        f"Write alt-text.context: {POST}",
        f"Write alt-text. Context:\n{POST}",
        f"Write alt-text.\nContext:\n{POST}",
        f"Write alt-text.\r\n  Context: {POST}",
    ],
)
def test_a_post_begins_behind_the_first_label_on_its_own_line_or_behind_a_sentence(tmp_path, text):
    row = {"image_path": "a.png", "text": json.dumps({"question": text, "chosen": "A flag.", "rejected": "A cat."})}
    sample, _ = read(tmp_path, row)
    assert (sample.prompt, sample.context) == ("Write alt-text.", POST)


@pytest.mark.parametrize("text", ["Given the context: write.", "See this. Context: here", "In context:"])
def test_the_word_alone_begins_no_post(tmp_path, text):
    sample, _ = read(tmp_path, {"image_path": "a.png", "question": text, "chosen": "A flag."})
    assert (sample.prompt, sample.context) == (text, "")


def test_a_kept_picture_is_reached_by_its_content_and_by_nothing_else(tmp_path):
    name = keep_picture(RED, "../../etc/pass wd.png")
    assert name.endswith("/pass wd.png")
    assert resolve_inside(tmp_path, name) == resolve_inside(tmp_path, name.partition("/")[0] + "/../../x")
    assert file_name(name, RED) == f"pass_wd-{name[9:21]}.png"
    for other in ("embedded:../../x", "embedded:" + "0" * 64, "embedded:" + "0" * 63 + "g"):
        with pytest.raises(DataError):
            resolve_inside(tmp_path, other)
    for size in (0, MAX_BYTES + 1):
        with pytest.raises(DataError, match=f"holds a picture of {size} bytes"):
            keep_picture(bytes(size))


@pytest.mark.parametrize("text", ["a.png", "images/" + "a" * 80 + ".png", "x" * 80, "photos/2024/" * 9])
def test_a_path_is_not_taken_for_base64(text):
    assert from_text(text) is None
