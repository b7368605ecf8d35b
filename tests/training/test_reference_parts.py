"""A reference pass that was stopped goes on with the batches that it lacks, and ends with the same bytes."""

import pytest
import torch
from safetensors import safe_open
from small_runs import STAGE, recipe_of, train

from trifacet.base.errors import TrifacetError
from trifacet.engine.scoring import TrieScorer
from trifacet.training.reference import ReferenceParts

MADE_FOR = {"samples": "a", "batch size": "2"}
SCORES = [torch.tensor([-1.1, -2.2e-30]), torch.tensor([-3.3e7]), torch.tensor([-0.1, -1 / 3, -100.7])]


@pytest.fixture
def folder(tmp_path):
    parts = ReferenceParts(tmp_path / "sft-all.parts", MADE_FOR)
    for number, scores in enumerate(SCORES):
        parts.add(number, scores)
    return parts.folder


def known(folder, fingerprint=MADE_FOR):
    return ReferenceParts(folder, fingerprint).done


def test_what_was_added_is_read_bit_by_bit(folder):
    assert known(folder).keys() == {0, 1, 2}
    assert all(torch.equal(known(folder)[number], scores) for number, scores in enumerate(SCORES))


def test_a_kill_anywhere_in_a_line_costs_that_batch_alone(folder):
    path = folder / "0.jsonl"
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        assert known(folder).keys() >= {0, 1}
        parts = ReferenceParts(folder, MADE_FOR)
        parts.add(2, SCORES[2])
        assert path.read_bytes() == whole


def test_a_flipped_bit_is_a_batch_to_score_again(folder):
    path = folder / "0.jsonl"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        for number, scores in known(folder).items():
            assert torch.equal(scores, SCORES[number]), place


def test_parts_of_another_pass_are_not_used(folder):
    other = ReferenceParts(folder, {**MADE_FOR, "batch size": "4"})
    assert other.done == {}
    other.add(0, SCORES[0])
    assert known(folder) == {}


def test_several_processes_share_a_folder(folder):
    """Two wrote, one goes on: it knows what both have done."""
    ReferenceParts(folder, MADE_FOR, writer=1).add(3, SCORES[0])
    assert known(folder).keys() == {0, 1, 2, 3}


CHANGES = {"sft": None, "align.mcm": {**STAGE, "max_steps": 1, "objective": "mcm-dpo"}}


def contents(path):
    """Not the bytes: safetensors writes the entries of its header in any order."""
    with safe_open(path, framework="pt") as file:
        return file.metadata(), [file.get_tensor(name).numpy().tobytes() for name in ("counts", "logps")]


def caches(output):
    return sorted((output / "reference").iterdir())


def test_a_pass_that_was_stopped_ends_with_the_same_bytes(tmp_path, world, tiny_folder, monkeypatch):
    train(recipe_of(tmp_path / "whole", world, tiny_folder, CHANGES), "mcm", tiny_folder)
    (whole,) = caches(tmp_path / "whole")

    recipe = recipe_of(tmp_path / "stopped", world, tiny_folder, CHANGES)
    plain, scored = ReferenceParts.add, []

    def until_the_third(self, number, logps_C):
        plain(self, number, logps_C)
        scored.append(number)
        if len(scored) in (3, 5):
            raise KeyboardInterrupt

    monkeypatch.setattr(ReferenceParts, "add", until_the_third)
    for batches in ([0, 1, 2], [0, 1, 2, 3, 4]):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, "mcm", tiny_folder)
        assert scored == batches
        assert [path.name for path in caches(tmp_path / "stopped")] == [f"{whole.stem}.parts"]
    train(recipe, "mcm", tiny_folder)
    assert scored == list(range(8))  # each of the 16 samples' batches of 2 once
    (cache,) = caches(tmp_path / "stopped")
    assert contents(cache) == contents(whole)


def test_a_score_that_is_not_finite_never_enters_a_cache(tmp_path, world, tiny_folder, monkeypatch):
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, CHANGES)
    plain, calls = TrieScorer.forward, []

    def breaks(self, batch):
        calls.append(1)
        return plain(self, batch) / (0 if len(calls) == 2 else 1)

    monkeypatch.setattr(TrieScorer, "forward", breaks)
    message = "log-prob that is not finite for one of the samples 'preference-00002', 'preference-00003';"
    with pytest.raises(TrifacetError, match=message):
        train(recipe, "mcm", tiny_folder)
    (parts,) = caches(tmp_path / "out")
    assert ReferenceParts(parts, {}).done == {}
    assert parts.name.endswith(".parts")
    monkeypatch.setattr(TrieScorer, "forward", plain)
    train(recipe, "mcm", tiny_folder)
    assert [path.suffix for path in caches(tmp_path / "out")] == [".safetensors"]
