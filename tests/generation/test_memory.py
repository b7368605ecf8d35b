"""Where memory does not suffice for a batch, half as much is tried, and texts are those of enough memory."""

from contextlib import contextmanager

import pytest
import torch

from trifacet.base.errors import TrifacetError
from trifacet.generation import writer as writing
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter


def full(rows):
    raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {rows} GiB")


def really_full(rows):
    torch.empty(rows * 2**55, dtype=torch.uint8)  # no machine has so much


@contextmanager
def memory_for(model, rows, fails):
    """A model whose forward fails for more rows than that; gives the rows of every forward that was tried."""
    tried = []

    def looked_at(module, arguments, named):
        tried.append(len(named["inputs_embeds"]))
        if tried[-1] > rows:
            fails(tried[-1])

    handle = model.model.language_model.register_forward_pre_hook(looked_at, with_kwargs=True)
    try:
        yield tried
    finally:
        handle.remove()


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(writing.console, "print", lambda line, **_: lines.append(line))
    return lines


@pytest.mark.parametrize("fails", [full, really_full])
@pytest.mark.parametrize(
    "how", [{"beams": 1}, {"beams": 3}, {"temperature": 1.5}, {"temperature": 1.5, "filter": "warnings"}]
)
def test_half_as_much_is_written_at_a_time_and_the_texts_are_the_same(
    loaded, encoder, samples, images, told, fails, how
):
    posts = [*samples, samples[0].model_copy(update={"id": "again", "context": "the same picture"})]
    settings = Generation(max_new_tokens=12, batch_size=6, **how)
    draws = 2 if "temperature" in how else 1
    enough = FamilyWriter(loaded.model, encoder, settings).write(posts, images, draws=draws)
    handed, writer = [], FamilyWriter(loaded.model, encoder, settings)
    with memory_for(loaded.model, 3, fails) as tried:
        assert writer.write(posts, images, draws=draws, on_written=handed.extend) == enough
        first = len(tried)
        assert writer.write(posts, images, draws=draws) == enough
    assert tried[:2] == [6, 3] and max(tried[first:]) == 3, "what did not fit is not tried again"
    assert len(told) == 1 and "about 6 pictures at a time" in told[0]
    assert sorted(handed, key=enough.index) == enough, "each is handed on once"


def test_what_was_done_before_memory_ran_out_is_not_written_again(loaded, encoder, samples, images, told):
    settings = Generation(beams=1, max_new_tokens=12, batch_size=2)
    enough = FamilyWriter(loaded.model, encoder, settings).write(samples, images)
    handed, forwards = [], []

    def fails(rows):
        if len(handed) == 4 and not forwards:
            forwards.append(rows)
            full(rows)

    with memory_for(loaded.model, 0, fails):
        assert FamilyWriter(loaded.model, encoder, settings).write(samples, images, on_written=handed.extend) == enough
    assert forwards and len(told) == 1
    assert len(handed) == len(samples)


def test_too_little_for_one_is_told_and_other_failures_are_no_lack_of_memory(loaded, encoder, samples, images, told):
    writer = FamilyWriter(loaded.model, encoder, Generation(beams=1, max_new_tokens=12, batch_size=4))
    with (
        memory_for(loaded.model, 0, full) as tried,
        pytest.raises(TrifacetError, match="no memory left to write about one picture at a time"),
    ):
        writer.write(samples, images)
    assert tried == [4, 2, 1] and loaded.model.training is False

    def broken(rows):
        raise RuntimeError("shapes do not fit")

    writer = FamilyWriter(loaded.model, encoder, Generation(beams=1, max_new_tokens=12, batch_size=4))
    with memory_for(loaded.model, 0, broken) as tried, pytest.raises(RuntimeError, match="shapes do not fit"):
        writer.write(samples, images)
    assert tried == [4]


def test_pictures_that_are_kept_are_encoded_once_over_calls_and_within_one_whatever_the_batch(
    loaded, encoder, samples, images
):
    from trifacet.engine.growing import Pictures

    posts = [samples[0].model_copy(update={"id": f"p{n}", "prompt": f"Question {n}?"}) for n in range(5)]
    settings = Generation(beams=1, max_new_tokens=4, batch_size=2)
    plain = FamilyWriter(loaded.model, encoder, settings).write([*posts, *samples], images)
    keeping = FamilyWriter(loaded.model, encoder, settings, pictures=Pictures(10**6))
    assert keeping.write([*posts, *samples], images) == plain
    keeping.write(samples, images)
    assert len(keeping.pictures.encoded) == 7 and set(keeping.pictures.encoded.values()) == {1}
    one = FamilyWriter(loaded.model, encoder, settings, pictures=Pictures(0))
    assert one.write(posts, images) == plain[:5] and list(one.pictures.encoded.values()) == [2]


def test_questions_about_one_picture_are_divided_as_pictures_are(loaded, encoder, samples, images, told):
    posts = [samples[0].model_copy(update={"id": f"p{n}", "prompt": f"Question {n}? " * 9}) for n in range(4)]
    settings = Generation(beams=1, max_new_tokens=4, batch_size=8)
    enough = FamilyWriter(loaded.model, encoder, settings).write(posts, images)
    widths = []

    def looked_at(module, arguments, named):
        widths.append(named["inputs_embeds"].shape[1])
        if limit and widths[-1] > limit:
            full(widths[-1])

    handle = loaded.model.model.language_model.register_forward_pre_hook(looked_at, with_kwargs=True)
    try:
        limit = 0
        for some in (posts, posts[:2]):
            FamilyWriter(loaded.model, encoder, settings).write(some, images)
        four, two = max(widths), widths[-4]
        assert four > two
        limit = two
        assert FamilyWriter(loaded.model, encoder, settings).write(posts, images) == enough
    finally:
        handle.remove()
    assert len(told) == 1 and "about 4 questions of a picture at a time" in told[0]
