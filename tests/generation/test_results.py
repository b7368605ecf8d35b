"""A results file survives a kill at any byte, and never mixes texts of different settings."""

import contextlib
import json

import pytest

from trifacet.base.errors import DataError, TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.generation import results
from trifacet.generation.results import settings_path, write_to_file
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.loading import weights_fingerprint


class Killed(BaseException):
    """Stands for what cannot be caught."""


@pytest.fixture(scope="module")
def run(loaded, encoder, samples, images):
    weights = weights_fingerprint(loaded.model)

    def run(output, *, samples=samples, encoder=encoder, weights=weights, stop_after=None, progress=None, **changes):
        settings = {"beams": 1, "max_new_tokens": 8, "batch_size": 2, **changes}
        overwrite, limit = settings.pop("overwrite", False), settings.pop("limit", None)

        def on_progress(done, total):
            if progress is not None:
                progress.append((done, total))
            if stop_after is not None and done >= stop_after:
                raise Killed

        writer = FamilyWriter(loaded.model, encoder, Generation(**settings), weights=weights)
        return write_to_file(
            writer, samples[:limit], output, images_root=images, overwrite=overwrite, on_progress=on_progress
        )

    return run


@pytest.fixture(scope="module")
def uninterrupted(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "out.jsonl"
    run(output)
    return output.read_bytes()


def test_one_line_per_sample_in_their_order(uninterrupted, samples):
    rows = [json.loads(line) for line in uninterrupted.decode().splitlines()]
    assert [row["id"] for row in rows] == [sample.id for sample in samples]
    assert all(set(row) == {"id", "text", "prompt_tokens", "new_tokens", "cut_tokens"} for row in rows)
    assert all(row["text"] == row["text"].strip() and 0 < row["new_tokens"] <= 8 for row in rows)


@pytest.mark.parametrize("lost", [0, 1, 40, 170])
def test_a_killed_run_ends_with_the_file_of_one_never_killed(run, uninterrupted, tmp_path, lost):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        run(output, stop_after=4)
    content = output.read_bytes()
    assert content.count(b"\n") == 4
    output.write_bytes(content[: len(content) - lost])  # what a kill in the middle of a write leaves
    progress = []
    run(output, progress=progress)
    assert output.read_bytes() == uninterrupted
    assert progress[0] == (content[: len(content) - lost].count(b"\n"), 7)
    assert progress[-1] == (7, 7)


def test_a_run_may_be_killed_twice(run, uninterrupted, tmp_path):
    output = tmp_path / "out.jsonl"
    for done in (2, 4):
        with pytest.raises(Killed):
            run(output, stop_after=done)
        output.write_bytes(output.read_bytes()[:-9])
    run(output)
    assert output.read_bytes() == uninterrupted


def test_a_finished_file_is_left_as_it_is(run, uninterrupted, tmp_path):
    output = tmp_path / "out.jsonl"
    first = run(output)
    progress = []
    assert run(output, progress=progress) == first
    assert progress == [(7, 7)]
    assert output.read_bytes() == uninterrupted


def test_the_number_of_posts_per_batch_may_change(run, uninterrupted, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        run(output, stop_after=2)
    run(output, batch_size=5)
    assert output.read_bytes() == uninterrupted


def test_drawn_texts_go_on_as_they_began_with_another_number_of_posts_at_a_time(run, tmp_path):
    drawn = {"temperature": 1.5}
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    run(whole, **drawn)
    with pytest.raises(Killed):
        run(output, stop_after=2, **drawn)
    run(output, batch_size=5, **drawn)
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"beams": 2}, "beams 1 there, 2 now"), ({"max_new_tokens": 9}, "max_new_tokens"), ({"weights": "x"}, "weights"),
     ({"temperature": 0.5}, "temperature 0.0 there, 0.5 now, seed null there"), ({"limit": 3}, "samples 7 there, 3")],
)  # fmt: skip
def test_other_settings_are_refused_by_name(run, tmp_path, changes, named):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        run(output, stop_after=2)
    before = output.read_bytes(), settings_path(output).read_bytes()
    with pytest.raises(TrifacetError, match=named):
        run(output, **changes)
    assert (output.read_bytes(), settings_path(output).read_bytes()) == before


def test_other_data_and_requests_are_refused(run, loaded, samples, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        run(output, stop_after=2)
    changed = [samples[0].model_copy(update={"context": "something else"}), *samples[1:]]
    further = [samples[0].model_copy(update={"more_images": ("1.png",)}), *samples[1:]]
    without = [samples[0].model_copy(update={"image": None}), *samples[1:]]
    for other in (changed, further, without):
        with pytest.raises(TrifacetError, match=r"other settings \(data"):
            run(output, samples=other)
    asks = SampleEncoder(loaded.family, prompt="What is this?", context_label="Context:", max_length=200)
    with pytest.raises(TrifacetError, match=r'prompt "Write alt-text." there, "What is this.*--overwrite'):
        run(output, encoder=asks)


def test_overwrite_begins_anew(run, tmp_path):
    output, fresh = tmp_path / "out.jsonl", tmp_path / "fresh.jsonl"
    run(output)
    run(output, max_new_tokens=5, overwrite=True)
    run(fresh, max_new_tokens=5)
    assert output.read_bytes() == fresh.read_bytes()


def test_a_file_of_somebody_elses_is_left_alone(run, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    with pytest.raises(TrifacetError, match="not the settings it was made with"):
        run(output)
    assert output.read_text() == "precious"
    with pytest.raises(TrifacetError, match="is a folder"):
        run(tmp_path)


@pytest.mark.parametrize("stop_after", [4, None], ids=["stopped", "finished"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda line: b'{"id": 3}',
        lambda line: b"\0" * len(line),
        lambda line: line.replace(b'"new_tokens"', b'"new_tokenz"'),
        lambda line: line.replace(b'"text": "', b'"text": "Not '),
        lambda line: line.replace(b'"seal"', b'"sea\x6d"').replace(b'"cut_tokens": 0', b'"cut_tokens": 8'),
    ],
)
def test_a_text_that_is_not_as_it_was_written_is_written_anew(run, uninterrupted, tmp_path, capfd, stop_after, damage):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed) if stop_after else contextlib.nullcontext():
        run(output, stop_after=stop_after)
    lines = output.read_bytes().splitlines()
    output.write_bytes(b"".join(line + b"\n" for line in [lines[0], damage(lines[1]), *lines[2:]]))
    run(output)
    said = f"{1 if stop_after else len(lines)} of {len(lines)} texts are not as they were written: written anew"
    assert said in capfd.readouterr().err
    assert output.read_bytes() == uninterrupted


def test_a_damaged_line_of_a_file_without_seals_is_named(run, tmp_path):
    output = tmp_path / "out.jsonl"
    run(output)
    lines = output.read_bytes().splitlines(keepends=True)
    noted = json.loads(settings_path(output).read_text())
    settings_path(output).write_text(json.dumps({key: noted[key] for key in noted if key not in ("seal", "sha256")}))
    run(output)
    output.write_bytes(b"".join([lines[0], b'{"id": 3}\n', *lines[2:]]))
    settings_path(output).write_text(json.dumps({key: noted[key] for key in noted if key not in ("seal", "sha256")}))
    with pytest.raises(DataError, match="row 2: is not a result"):
        run(output)


def test_a_kill_between_the_seal_and_the_finished_file_costs_no_text(run, uninterrupted, tmp_path, monkeypatch):
    output, progress = tmp_path / "out.jsonl", []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(results, "write_atomically", killed)
        run(output)
    run(output, progress=progress)
    assert progress[0][0] == progress[0][1]
    assert output.read_bytes() == uninterrupted


def killed(*_):
    raise Killed


def test_a_missing_image_is_found_before_anything_is_written(run, samples, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="sample 's4': no image file"):
        run(output, samples=[*samples[:4], samples[4].model_copy(update={"image": "gone.png"})])
    with pytest.raises(DataError, match=r"sample 's4': no image file 'gone\.png'"):
        run(output, samples=[*samples[:4], samples[4].model_copy(update={"more_images": ("0.png", "gone.png")})])
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_an_error_with_a_cure(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrifacetError, match="cannot"):
        run(tmp_path / "file" / "out.jsonl")
