"""The folder of an evaluation: what is read back of it, and what models may be called."""

from __future__ import annotations

import json
import weakref
from typing import Any

import pytest
from fake_comparison import write_rows

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.progress import Bar
from trifacet.data.formats import read_samples
from trifacet.evaluation.entries import read_entries
from trifacet.evaluation.evaluating import LOOKS, MARK, TEXTS, evaluate, read_evaluation
from trifacet.evaluation.evaluating import Tests as Asked
from trifacet.evaluation.naming import name_models
from trifacet.generation.opening import load_for_generation
from trifacet.generation.settings import Generation, settings_path
from trifacet.probing.probe import Looks


@pytest.fixture
def folder(tmp_path):
    """Two models with a text for each of two samples."""
    data = write_rows(tmp_path / "test.jsonl", [{"id": name, "texts": ["a red disc"]} for name in ("s0", "s1")])
    manifest = {"models": {"a": "x", "b": "y"}, "data": str(data), "images": None, "benchmarks": [], "probe": None}
    (tmp_path / MARK).write_text(json.dumps(manifest))
    for name in manifest["models"]:
        (tmp_path / name).mkdir()
        texts = write_rows(tmp_path / name / TEXTS, [{"id": one, "text": "a disc"} for one in ("s0", "s1")])
        settings_path(texts).write_text(json.dumps({"samples": 2}))
    return tmp_path


def test_a_finished_folder_is_read(folder):
    entered = read_entries([str(folder)], profiles=["coco"])
    assert [(one.name, len(one.texts)) for one in entered.contestants] == [("a", 2), ("b", 2)]


@pytest.mark.parametrize("rows", [None, [], [{"id": "s0", "text": "a disc"}]])
def test_a_stopped_evaluation_is_told_not_scored(folder, rows):
    texts = folder / "a" / TEXTS
    texts.unlink()
    if rows is not None:
        write_rows(texts, rows)
    with pytest.raises(DataError, match=r"a.texts\.jsonl.*is not finished; run the same"):
        read_entries([str(folder)])


def test_names_are_those_of_folders(tmp_path):
    assert name_models(["models/sft/model", "org/base-7b", "mine=runs/x"]) == {
        "sft": "models/sft/model", "base-7b": "org/base-7b", "mine": "runs/x",
    }  # fmt: skip
    for wrong in ("..=x", ".lock=x", "a/b=x", "=x", "a="):
        with pytest.raises(TrifacetError, match="write NAME=MODEL"):
            name_models([wrong])
    with pytest.raises(TrifacetError, match="two models are called 'm'"):
        name_models(["m", "x/m"])


def test_one_model_is_in_memory_at_a_time(tmp_path, world, tiny_folder):
    """Before the next is opened the last one is gone: two models of 7B would not fit beside each other."""
    earlier: list[weakref.ref[Any]] = []

    def load(checkpoint):
        assert all(one() is None for one in earlier)
        loaded, encoder = load_for_generation(checkpoint, prompt=None, dtype="float32", device="cpu")
        earlier.append(weakref.ref(loaded.model))
        return loaded, encoder

    data = world / "test.jsonl"
    writing = Generation(beams=1, max_new_tokens=3)
    looks = Looks(steps=(900,), max_new_tokens=3)
    asked = Asked(data, world, read_samples(data, "test")[:2], writing, [], writing, None, looks, 17, "float32")
    evaluate({"a": str(tiny_folder), "b": str(tiny_folder)}, asked, tmp_path / "out", load, Bar)
    assert len(earlier) == 2
    assert read_evaluation(tmp_path / "out").models[1].probe["samples"] == 2

    texts = tmp_path / "out" / "a" / LOOKS
    texts.write_text(texts.read_text().replace('"data": "test.jsonl"', '"data": "old"'))
    evaluate({"a": str(tiny_folder)}, asked, tmp_path / "out", load, Bar)
    assert '"data": "old"' in texts.read_text()  # it was there
    evaluate({"a": str(tiny_folder)}, asked, tmp_path / "out", load, Bar, overwrite=True)
    assert '"data": "old"' not in texts.read_text()
