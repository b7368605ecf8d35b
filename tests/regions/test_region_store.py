"""Located regions on disk: made once, the same whatever was killed and however many looked; never used when stale."""

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from lookers import Boxes, Opener
from PIL import Image

from trifacet.base.errors import DataError, TrifacetError
from trifacet.data.formats import write_samples
from trifacet.data.records import PreferenceSample
from trifacet.data.source import Source
from trifacet.regions import store
from trifacet.regions.looking import KeyWord, Look
from trifacet.regions.store import LINES, MARK, Masks, locate, read_located, read_seconds, refuse_other

RESPONSES = [
    "A brown dog sits beside a chair.",
    "The ghost stands still.",
    "It is so.",
    "Some large window with curtains.",
    "A table holds three plates.",
    "Green hills under clouds.",
]


@pytest.fixture
def data(tmp_path):
    """Six pairs with pictures, the last without one; a source of them."""
    rng = np.random.default_rng(3)
    samples = []
    for number, response in enumerate(RESPONSES):
        name = f"p{number}.png"
        size = (20 + number, 24, 3)
        Image.fromarray(rng.integers(0, 255, size, np.uint8)).save(tmp_path / name)
        image = name if number < len(RESPONSES) - 1 else None
        samples.append(PreferenceSample(id=f"s{number}", image=image, response=response, rejected_responses=("No.",)))
    write_samples(samples, tmp_path / "pairs.jsonl", "trifacet", "preference", images=tmp_path, asked=True)
    return tmp_path


def source(data, *, skip=False):
    return Source(data / "pairs.jsonl", "trifacet", "preference", data, "", skip)


def located(data, name="regions", opener=None, **options):
    folder = data / name
    locate(source(data), folder, opener or Opener(), max_pixels=10_000, **options)
    return folder


def test_what_is_kept_of_each_sample(data):
    folder = located(data)
    kept = {one.id: one for one in read_located(folder)}
    assert list(kept) == [f"s{number}" for number in range(6)]
    assert {name: one.status for name, one in kept.items()} == {
        "s0": "located", "s1": "located", "s2": "no words", "s3": "located", "s4": "located", "s5": "no picture"
    }  # fmt: skip
    assert kept["s1"].missing == ("ghost",)
    assert [word.text for word in kept["s0"].words] == ["brown", "sits"]
    masks = Masks(folder, max_pixels=10_000)
    samples = {one.id: one for _, one in store.rows_of(source(data))}
    for name, one in kept.items():
        mask = masks(samples[name])
        if one.status != "located":
            assert mask is None
            continue
        picture = Image.open(data / samples[name].image).convert("RGB")
        words = tuple(KeyWord(word.text, word.score, word.spans) for word in one.words)
        found = Boxes().locate(Look(samples[name], picture, words, 17))
        assert np.array_equal(mask, np.logical_or.reduce([region.mask for region in found]))
        assert one.area == mask.mean()
        assert [(region.word, region.score, region.box) for region in one.regions] == [
            (region.word, region.score, region.box) for region in found
        ]
    told = masks.totals(list(kept))
    assert told.located == 4
    assert told.fallbacks == {"no picture": 1, "no words": 1}
    assert told.mean_area == pytest.approx(np.mean([kept[f"s{n}"].area for n in (0, 1, 3, 4)]), abs=1e-6)
    assert set(read_seconds(folder)) == set(kept)


def test_a_union_that_is_the_whole_picture_has_global_noise(data):
    whole = {one.id: one for one in read_located(located(data, "whole", Opener(largest=0.001)))}
    assert whole["s0"].status == "whole picture"
    masks = Masks(data / "whole", max_pixels=10_000)
    assert masks(PreferenceSample(id="s0", image="p0.png", response="x")) is None
    assert masks.totals(["s0", "s5"]).fallbacks == {"no picture": 1, "whole picture": 1}


def test_three_processes_leave_the_bytes_of_one(data):
    one, three = located(data, "one"), located(data, "three", workers=3)
    assert (one / LINES).read_bytes() == (three / LINES).read_bytes()
    assert json.loads((one / MARK).read_text())["sha256"] == json.loads((three / MARK).read_text())["sha256"]


def _locate(data, name, workers):
    located(data, name, Opener(seconds=0.15), workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_kill_costs_what_was_being_looked_at(data, workers):
    whole = located(data, "whole")
    folder = data / "killed"
    process = multiprocessing.get_context("fork").Process(target=_locate, args=(data, "killed", workers))
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not ((folder / LINES).exists() and (folder / LINES).stat().st_size):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with pytest.raises(TrifacetError, match="not finished; the same 'trifacet regions' continues it"):
        Masks(folder, max_pixels=10_000)
    done = len((folder / LINES).read_bytes().splitlines())
    with (folder / LINES).open("ab") as file:
        file.write(b'{"id": "s4", "half')  # the line that the kill tore
    assert 1 <= done < 6
    assert locate(source(data), folder, Opener(), max_pixels=10_000) == 6 - done
    assert (folder / LINES).read_bytes() == (whole / LINES).read_bytes()


def test_what_is_done_is_not_done_again_and_more_rows_are_added(data):
    part = data / "part"
    assert locate(source(data), part, Opener(), max_pixels=10_000, limit=2) == 2
    assert [one.id for one in read_located(part)] == ["s0", "s1"]
    assert locate(source(data), part, Opener(), max_pixels=10_000) == 4
    before = (part / LINES).stat().st_mtime_ns
    assert locate(source(data), part, Opener(), max_pixels=10_000) == 0
    assert (part / LINES).stat().st_mtime_ns == before
    assert (part / LINES).read_bytes() == (located(data, "whole") / LINES).read_bytes()


def test_a_damaged_line_is_located_again(data):
    folder = located(data)
    whole = (folder / LINES).read_bytes()
    (folder / LINES).write_bytes(whole.replace(b'"ghost"', b'"goats"', 1))
    with pytest.raises(TrifacetError, match="not as it was written; the same 'trifacet regions' mends it"):
        Masks(folder, max_pixels=10_000)
    assert locate(source(data), folder, Opener(), max_pixels=10_000) == 1
    assert (folder / LINES).read_bytes() == whole


@pytest.mark.parametrize(
    ("opener", "told"),
    [
        (Opener(k=3), "words k 2 there, 3 now"),
        (Opener(threshold=0.4), "locator threshold 0.5 there, 0.4 now"),
        (Opener(largest=0.5), "largest 1.0 there, 0.5 now"),
    ],
)
def test_other_settings_are_refused_with_both_values(data, opener, told):
    folder = located(data)
    with pytest.raises(TrifacetError) as caught:
        locate(source(data), folder, opener, max_pixels=10_000)
    assert told in str(caught.value)
    assert "--overwrite" in str(caught.value)
    with pytest.raises(TrifacetError) as caught:
        refuse_other(folder, source(data), opener(), ["words", "locator", "largest"], max_pixels=10_000, limit=None)
    assert told in str(caught.value)
    locate(source(data), folder, opener, max_pixels=10_000, overwrite=True)
    refuse_other(folder, source(data), opener(), ["words", "locator"], max_pixels=10_000, limit=None)


def test_another_picture_response_or_sample_is_refused(data):
    folder = located(data)
    refuse_other(folder, source(data), None, [], max_pixels=10_000, limit=None)
    picture = (data / "p3.png").read_bytes()
    Image.new("RGB", (24, 23)).save(data / "p3.png")
    for use in (
        lambda: locate(source(data), folder, Opener(), max_pixels=10_000),
        lambda: refuse_other(folder, source(data), None, [], max_pixels=10_000, limit=None),
    ):
        with pytest.raises(DataError, match=r"sample 's3' is not the one whose regions .* holds: picture .* now"):
            use()
    (data / "p3.png").write_bytes(picture)
    text = (data / "pairs.jsonl").read_text()
    (data / "pairs.jsonl").write_text(text.replace("three plates", "four plates"))
    with pytest.raises(DataError, match=r"row 5: sample 's4' .*response .* there, .* now"):
        refuse_other(folder, source(data), None, [], max_pixels=10_000, limit=None)
    (data / "pairs.jsonl").write_text(text.replace('"s1"', '"another"'))
    with pytest.raises(DataError, match=r"row 2: sample 'another' has no line in .*locate them again"):
        refuse_other(folder, source(data), None, [], max_pixels=10_000, limit=None)


def test_a_picture_that_cannot_be_used_ends_it_or_is_told_in_its_line(data):
    (data / "p1.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        located(data)
    assert (caught.value.row, caught.value.field) == (2, "image")
    folder = data / "skipped"
    locate(source(data, skip=True), folder, Opener(), max_pixels=10_000)
    kept = {one.id: one for one in read_located(folder)}
    assert kept["s1"].status == "unusable"
    assert "is not an image" in kept["s1"].reason
    Image.new("RGB", (24, 23)).save(data / "p1.png")
    assert locate(source(data, skip=True), folder, Opener(), max_pixels=10_000) == 1
    assert {one.id: one.status for one in read_located(folder)}["s1"] == "located"


def test_a_line_of_somebody_else_is_not_trusted(data):
    folder = located(data)
    rows = [json.loads(line) for line in (folder / LINES).read_text().splitlines()]
    rows[0]["size"] = [24, 21]
    body = b"".join(store._line(row) for row in rows)
    (folder / LINES).write_bytes(body)
    mark = json.loads((folder / MARK).read_text())
    mark["sha256"] = store.file_digest(folder / LINES)
    (folder / MARK).write_text(json.dumps(store.sealed(mark)))
    sample = PreferenceSample(id="s0", image="p0.png", response="x")
    with pytest.raises(DataError, match="a mask has another size than its picture"):
        Masks(folder, max_pixels=10_000)(sample)
    rows[0]["size"] = "large"
    (folder / LINES).write_bytes(b"".join(store._line(row) for row in rows))
    with pytest.raises(DataError, match=r"row 1, field 'size"):
        list(read_located(folder))
