"""The files of the world: readable as Trifacet's own format, the same each time, held-out splits held out."""

import json

import pytest

from trifacet.base.images import load_image
from trifacet.data.records import make_sample
from trifacet.data.settings import World
from trifacet.demo.facts import FACTS
from trifacet.demo.make import write_world

KINDS = {"sft": "sft", "preference": "preference", "validation": "test", "test": "test"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, World(sft=40, preference=30, validation=5, test=6), seed=3, image_size=32)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_is_a_valid_sample_with_a_picture(folder):
    for split, kind in KINDS.items():
        for number, row in enumerate(rows(folder / f"{split}.jsonl"), start=1):
            sample = make_sample(kind, row, file=split, row=number)
            assert load_image(folder, sample.image).size == (32, 32)


def test_ids_are_unique(folder):
    ids = [row["id"] for split in KINDS for row in rows(folder / f"{split}.jsonl")]
    assert len(ids) == len(set(ids)) == 81


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(folder, tmp_path):
    spec = World(sft=10, preference=5, validation=3, test=3)
    write_world(tmp_path / "again", spec, seed=3, image_size=32)
    write_world(tmp_path / "other", spec, seed=4, image_size=32)
    for split in KINDS:
        again = rows(tmp_path / "again" / f"{split}.jsonl")
        assert again == rows(folder / f"{split}.jsonl")[: len(again)]  # a smaller world is the start of a larger one
        assert again != rows(tmp_path / "other" / f"{split}.jsonl")
        for row in again:
            assert (tmp_path / "again" / row["image"]).read_bytes() == (folder / row["image"]).read_bytes()


def test_chosen_and_rejected_differ(folder):
    assert all(row["response"] not in row["rejected_responses"] for row in rows(folder / "preference.jsonl"))


def test_held_out_rows_carry_the_facts(folder):
    for row in rows(folder / "test.jsonl"):
        assert set(row["extra"]["facts"]) == set(row["extra"]["confusions"]) == set(FACTS)
        assert all(row["extra"]["facts"].values())
        assert row["extra"]["facts"]["name"][0] in row["context"]
