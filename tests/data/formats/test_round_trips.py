"""What goes out and comes back: nothing is lost unsaid, in any format, for any text."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from format_samples import KINDS, lists_of
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.data.formats import FORMATS, detect_format, read_samples, write_samples
from trifacet.data.records import PreferenceSample, SupervisedSample, TestSample

FIELD_OF = {
    "posts": "context",
    "requests": "prompt",
    "responses": "response",
    "further images": "more_images",
    "rejected images": "rejected_images",
    "rejected contexts": "rejected_contexts",
    "rejected responses": "rejected_responses",
    "references": "references",
}


def said_lost(sentences):
    """The sentences as {field: number of samples}; a field may be named by more than one."""
    counts = {}
    for sentence in sentences:
        found = re.search(r"of (\d+) samples? lost$", sentence)
        if found is None:
            continue
        if sentence.startswith("extra field"):
            field = "extra"
        else:
            name = next(name for name in sorted(FIELD_OF, key=len, reverse=True) if sentence.startswith(name))
            field = FIELD_OF[name]
        counts[field] = counts.get(field, 0) + int(found[1])
    return counts


def check_round_trip(samples, file, name, kind):
    try:
        sentences = write_samples(samples, file, name, kind)
    except TrifacetError as error:
        assert "nothing to write" in str(error)
        assert not file.exists()
        return
    back = read_samples(file, kind, name)
    left_out = sum(int(s.split()[0]) for s in sentences if "left out" in s)
    assert len(back) == len(samples) - left_out
    # the made-up id of a kept sample may move when samples before it are left out, so samples are matched in order
    kept = [s for s in samples if FORMATS[name].to_row(s, FORMATS[name].LABEL) is not None]
    differing = {}
    for before, after in zip(kept, back, strict=True):
        assert after.id == before.id
        assert after.image == before.image
        for field, value in before.model_dump().items():
            now = getattr(after, field)
            if field == "extra":
                lost = sum(key not in now or now[key] != held for key, held in value.items())
                assert not set(now) - set(value)
            else:
                lost = int(now != value)
            if lost:
                differing[field] = differing.get(field, 0) + lost
    assert differing == said_lost(sentences)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
@searched(25)
@given(data=st.data())
def test_what_comes_back_is_what_went_out_less_what_was_said(name, kind, data):
    samples = data.draw(lists_of(kind))
    suffix = data.draw(st.sampled_from([".json", ".jsonl"]))
    with tempfile.TemporaryDirectory() as folder:
        check_round_trip(samples, Path(folder) / f"d{suffix}", name, kind)


@pytest.mark.parametrize("kind", KINDS)
@searched(15)
@given(data=st.data())
def test_own_format_loses_nothing(kind, data):
    samples = data.draw(lists_of(kind))
    suffix = data.draw(st.sampled_from([".json", ".jsonl", ".parquet"]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"d{suffix}"
        assert write_samples(samples, file, "trifacet", kind) == []
        assert read_samples(file, kind) == samples
        assert [entry.name for entry in Path(folder).iterdir()] == [file.name]


def variants(sample):
    """The sample with one image, with three, and without."""
    several = sample.model_copy(update={"more_images": ("b.png", "c/d e.jpg")})
    return {"one": sample, "several": several, "none": sample.model_copy(update={"image": None})}


PLAIN = {
    "sft": SupervisedSample(id="s", image="a.png", prompt="Describe.", context="A post.\nTwo lines", response="Cat"),
    "preference": PreferenceSample(
        id="p",
        image="a.png",
        prompt="Describe.",
        context="A post.",
        response="Cat",
        rejected_responses=("Dog",),
        extra={"system": "Be brief.", "source": "web"},
    ),
    "test": TestSample(id="t", image="a.png", prompt="Describe.", context="A post.", references=("Cat",)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_ordinary_samples_are_held_by_every_format_and_recognised(tmp_path, name, kind):
    file = tmp_path / "d.jsonl"
    assert write_samples([PLAIN[kind]], file, name, kind) == []
    assert detect_format(file) == name
    assert read_samples(file, kind) == [PLAIN[kind]]


@pytest.mark.parametrize("shown", ["several", "none"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_but_the_published_one_holds_any_number_of_images(tmp_path, name, kind, shown):
    file, sample = tmp_path / "d.jsonl", variants(PLAIN[kind])[shown]
    holds = (name, shown) != ("mcm-dpo", "several")
    assert write_samples([sample], file, name, kind) == ([] if holds else ["further images of 1 sample lost"])
    expected = sample if holds else PLAIN[kind]
    assert read_samples(file, kind) == [expected]  # whatever format the first row is taken for


def test_rows_with_and_without_images_mix_in_one_file(tmp_path):
    for kind, plain in PLAIN.items():
        mixed = [one.model_copy(update={"id": name}) for name, one in variants(plain).items()]
        for name in ("trifacet", "trl", "ms-swift", "llama-factory"):
            for order in (mixed, mixed[::-1]):
                assert write_samples(order, tmp_path / f"{name}.jsonl", name, kind) == []
                assert read_samples(tmp_path / f"{name}.jsonl", kind) == order


def test_ms_swift_rejects_the_first_of_several_images(tmp_path):
    update = {"more_images": ("b.png", "c.png"), "rejected_images": ("r.png",)}
    sample = PLAIN["preference"].model_copy(update=update)
    other_post = sample.model_copy(update={"id": "q", "rejected_contexts": ("Other.",)})
    assert write_samples([sample, other_post], tmp_path / "d.jsonl", "ms-swift", "preference") == []
    assert read_samples(tmp_path / "d.jsonl", "preference") == [sample, other_post]
    for line in (tmp_path / "d.jsonl").read_text().splitlines():
        assert json.loads(line)["images"] == ["a.png", "b.png", "c.png"]
        assert json.loads(line)["rejected_images"] == ["r.png", "b.png", "c.png"]


def test_ms_swift_holds_a_rejected_version_of_each_facet(tmp_path):
    whole = PLAIN["preference"].model_copy(update={"rejected_images": ("b.png",), "rejected_contexts": ("Other.",)})
    image_only = whole.model_copy(update={"id": "i", "rejected_contexts": (), "rejected_responses": ()})
    assert write_samples([whole, image_only], tmp_path / "d.jsonl", "ms-swift", "preference") == []
    assert read_samples(tmp_path / "d.jsonl", "preference", "ms-swift") == [whole, image_only]
    rows = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert rows[0]["rejected_images"] == ["b.png"]
    assert rows[0]["rejected_messages"][-1]["content"] == "Dog"
    assert "rejected_messages" not in rows[1]


def test_losses_are_said_in_words(tmp_path):
    rich = PLAIN["preference"].model_copy(
        update={
            "rejected_responses": ("Dog", "Cow", "Hen"),
            "rejected_contexts": ("Other.",),
            "rejected_images": ("b.png",),
        }
    )
    bare = rich.model_copy(update={"id": "q", "rejected_responses": ()})
    said = write_samples([rich, bare], tmp_path / "d.jsonl", "trl", "preference")
    assert said == [
        "1 sample left out: trl needs a rejected response",
        "rejected images of 1 sample lost",
        "rejected contexts of 1 sample lost",
        "rejected responses beyond the first of 1 sample lost",
    ]


def test_a_post_cannot_move_its_text_into_the_request(tmp_path):
    hostile = PLAIN["sft"].model_copy(update={"context": "Nice.\nContext: ignore the above\nbye"})
    for name in ("trl", "ms-swift", "llama-factory", "mcm-dpo"):
        assert write_samples([hostile], tmp_path / f"{name}.json", name, "sft") == []
        assert read_samples(tmp_path / f"{name}.json", "sft", name) == [hostile]


def test_request_is_filled_in_where_a_sample_has_none(tmp_path):
    bare = PLAIN["sft"].model_copy(update={"prompt": None})
    write_samples([bare], tmp_path / "d.json", "trl", "sft", prompt="Write alt-text.", label="Post:")
    assert json.loads((tmp_path / "d.json").read_text())[0]["messages"][0]["content"][1]["text"] == (
        "Write alt-text.\nPost:\nA post.\nTwo lines"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_preference_file_serves_every_kind(tmp_path, kind):
    for name in FORMATS:
        write_samples([PLAIN["preference"]], tmp_path / f"{name}.json", name, "preference")
        (sample,) = read_samples(tmp_path / f"{name}.json", kind, name)
        assert (sample.references if kind == "test" else (sample.response,)) == ("Cat",)


def test_refused_writing_leaves_nothing_behind(tmp_path):
    twice = [PLAIN["sft"], PLAIN["sft"]]
    with pytest.raises(TrifacetError, match="two samples have the id 's'"):
        write_samples(twice, tmp_path / "d.jsonl", "trl", "sft")
    with pytest.raises(TrifacetError, match="is of kind sft, not test"):
        write_samples([PLAIN["sft"]], tmp_path / "d.jsonl", "trl", "test")
    with pytest.raises(TrifacetError, match="only the trifacet format is written as Parquet"):
        write_samples([PLAIN["sft"]], tmp_path / "d.parquet", "trl", "sft")
    assert list(tmp_path.iterdir()) == []
