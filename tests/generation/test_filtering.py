"""With a filter a post gets the best text that passes, or none; without one nothing changes."""

import json

import pytest

from trifacet.generation import filtering
from trifacet.generation import writer as local
from trifacet.generation.filtering import DRAWS, broken_rules, first_passing
from trifacet.generation.results import settings_path, write_to_file
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.lint import lint_text


def write(loaded, encoder, samples, images, **changes):
    settings = Generation(**{"beams": 3, "max_new_tokens": 8, "batch_size": 4, **changes})
    return FamilyWriter(loaded.model, encoder, settings).write(samples, images)


@pytest.fixture
def refusing(monkeypatch):
    """Stands in for the rules: refuses what the test says, and notes what it was asked."""
    asked = []

    def refuse(refused):
        def broken(text, context, level):
            asked.append((text, context, level))
            return ("placeholder",) if refused(text) else ()

        monkeypatch.setattr(filtering, "broken_rules", broken)
        return asked

    return refuse


def test_the_first_that_passes_is_taken_else_the_best_ones_rules_are_told():
    texts = ["Image", "A dog.", "A brown dog jumps over a puddle."]
    assert first_passing(texts, "", "errors") == (1, ())
    assert first_passing(texts, "", "warnings") == (2, ())
    assert first_passing(["A dog.", "photo"], "", "warnings") == (None, ("very-short",))
    assert first_passing([""], "", "errors") == (None, ("missing",))
    assert broken_rules(texts[2], texts[2], "warnings") == ("repeats-post",)
    assert broken_rules(texts[2], texts[2], "errors") == ()


def test_a_refused_best_beam_gives_way_to_the_next(loaded, encoder, samples, images, refusing):
    best = {text.id: text.text for text in write(loaded, encoder, samples, images)}
    asked = refusing(lambda text: text in best.values())
    filtered = write(loaded, encoder, samples, images, filter="errors")
    given = [text for text in filtered if text.text]
    assert given and not {text.text for text in given} & set(best.values())
    assert all(text.filtered == ("placeholder",) for text in filtered if not text.text)
    assert {level for _, _, level in asked} == {"errors"}
    assert {context for _, context, _ in asked} == {sample.context for sample in samples}
    assert [text.id for text in filtered] == [sample.id for sample in samples]


def test_what_passes_is_what_is_written_without_a_filter(loaded, encoder, samples, images, refusing):
    refusing(lambda text: False)
    for settings in ({"beams": 3}, {"beams": 1}):
        plain = write(loaded, encoder, samples, images, **settings)
        assert write(loaded, encoder, samples, images, filter="warnings", **settings) == plain


@pytest.mark.parametrize("beams", [1, DRAWS + 1])
def test_draws_are_several_and_none_is_given_where_none_passes(loaded, encoder, samples, images, refusing, beams):
    asked = refusing(lambda text: True)
    texts = write(loaded, encoder, samples[:2], images, beams=beams, temperature=1.5, filter="errors")
    assert len(asked) == 2 * DRAWS
    assert len({text for text, _, _ in asked}) > 2
    assert [(text.text, text.filtered) for text in texts] == [("", ("placeholder",))] * 2
    assert all(text.new_tokens > 0 for text in texts)


def test_the_real_rules_hold_for_every_text_that_is_given(loaded, encoder, samples, images):
    context = {sample.id: sample.context for sample in samples}
    for text in write(loaded, encoder, samples, images, filter="warnings"):
        assert bool(text.text) != bool(text.filtered)
        assert not text.text or lint_text(text.text, context=context[text.id]) == []


def test_results_with_a_filter_are_continued_and_refused_to_other_settings(
    loaded, encoder, samples, images, refusing, tmp_path
):
    refusing(lambda text: "red" in text or len(text) % 2)

    def run(output, stop_after=None, **changes):
        def on_progress(done, total):
            if stop_after is not None and done >= stop_after:
                raise KeyboardInterrupt

        settings = Generation(**{"beams": 1, "max_new_tokens": 8, "batch_size": 2, "filter": "errors", **changes})
        writer = FamilyWriter(loaded.model, encoder, settings, weights="w")
        return write_to_file(writer, samples, output, images_root=images, on_progress=on_progress)

    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    texts = run(whole)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, stop_after=4)
    assert run(stopped) == texts
    assert stopped.read_bytes() == whole.read_bytes()
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    refused = [row for row in rows if "filtered" in row]
    assert 0 < len(refused) < len(rows)
    assert all(row["text"] == "" and row["filtered"] == ["placeholder"] for row in refused)
    assert json.loads(settings_path(whole).read_text())["filter"] == "errors"
    for other in ("warnings", None):
        with pytest.raises(local.TrifacetError, match="filter"):
            run(stopped, filter=other)


def test_the_settings_of_results_without_a_filter_do_not_name_it(loaded, encoder, samples):
    told = FamilyWriter(loaded.model, encoder, Generation(), weights="w").made_with(samples)
    assert "filter" not in told and "top_p" not in told
