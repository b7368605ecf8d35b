"""The samples of a round are cut into parts as they are read: whatever their number, a part is in memory."""

import json
import tracemalloc
from pathlib import Path

import pytest
from small_evolving import recipe_of, rows_of

from trifacet.base.errors import DataError
from trifacet.base.journal import Journal
from trifacet.data.records import TestSample
from trifacet.evolving.part_records import counted, summed
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Fate, as_row
from trifacet.evolving.round_samples import first_samples, read_index, read_samples, write_parts
from trifacet.evolving.rounds import hard_samples

WORDS = "A post of some length. " * 100


def sample(number: int) -> TestSample:
    return TestSample(id=f"post {number}", context=f"{number} {WORDS}", references=("It is so.",))


def fate(number: int) -> Fate:
    """Every third sample has an accepted answer; every fifth could not be used."""
    if number % 5 == 0:
        return Fate(f"post {number}", "refused", "no reference")
    good = {"normal": 1} if number % 3 == 0 else {}
    return Fate(
        f"post {number}", "pairs" if good else "none accepted", answers={"normal": 2}, accepted=good, pairs=len(good)
    )


def through(folder: Path, count: int) -> int:
    """Two rounds of ``count`` samples as far as their rows go; bytes of memory at the peak."""
    file = folder / "samples.jsonl"
    with file.open("w") as out:
        for number in range(count):
            one = sample(number)
            out.write(json.dumps({"id": one.id, "context": one.context, "references": ["It is so."]}) + "\n")
    recipe = recipe_of(folder / "out", folder, "model", {"samples": "samples.jsonl"})
    tracemalloc.start()
    samples, unread = first_samples(recipe)
    first, second = folder / "round-1", folder / "round-2"
    index = write_parts(samples, unread, first, 16)
    records = []
    for number in range(index["parts"]):
        part = Part(first, number, 1)
        fates = [fate(int(one.id.split()[1])) for one in read_samples(part)]
        Journal(part.file("fates")).finish(map(as_row, fates))
        records.append(counted(fates))
    write_parts(hard_samples(first, hard_only=True), (), second, 16)
    assert summed(records)["rows"] == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    hard = [number for number in range(count) if number % 5 and number % 3]
    assert [row["id"] for file in sorted((second / "samples").iterdir()) for row in rows_of(file)] == [
        f"post {number}" for number in hard
    ]
    return peak


def test_memory_does_not_grow_with_the_rows(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    grown = (through(many, 1200) - through(few, 300)) / 900
    assert grown < 700, "bytes of a row: its id, and counts and seals of its share of a part; the row itself has 2,300"


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_parts_hold_all_samples_in_their_order_and_are_written_once(tmp_path, size):
    samples = [sample(number) for number in range(7)]
    index = write_parts(iter(samples), (), tmp_path, size)
    assert (index["rows"], index["parts"]) == (7, -(-7 // size))
    found = [one for number in range(index["parts"]) for one in read_samples(Part(tmp_path, number, 1))]
    assert found == samples
    again = write_parts(iter(()), (), tmp_path, size)
    assert again == index == read_index(tmp_path)


def test_no_sample_is_no_part(tmp_path):
    assert write_parts(iter(()), (), tmp_path, 4)["parts"] == 0


def test_a_part_that_is_no_json_is_told_by_its_row(tmp_path):
    write_parts(iter([sample(1), sample(2)]), (), tmp_path, 4)
    file = Part(tmp_path, 0, 1).file("samples")
    file.write_text(file.read_text().replace('"id": "post 2"', '"id" "post 2"'))
    with pytest.raises(DataError, match=r"row 2: is damaged"):
        read_samples(Part(tmp_path, 0, 1))


def test_what_is_behind_the_limit_is_not_read(tmp_path):
    (tmp_path / "samples.jsonl").write_text(
        '{"id": "a", "references": ["x"]}\n{"id": "b", "references": ["x"]}\n{"id": \n'
    )
    recipe = recipe_of(tmp_path / "out", tmp_path, "model", {"samples": "samples.jsonl", "limit": 2})
    assert [one.id for one in first_samples(recipe)[0]] == ["a", "b"]
    with pytest.raises(DataError, match="row 3"):
        list(first_samples(recipe.model_copy(update={"limit": 3}))[0])
