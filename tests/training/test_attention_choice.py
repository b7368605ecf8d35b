"""``model.attention``: which attention a training gets, in which rows, and where it is refused."""

import pytest
import torch

from trifacet.base.errors import TrifacetError
from trifacet.models.loading import load_processor
from trifacet.models.settings import Model, TinyModel
from trifacet.training import sources
from trifacet.training.sources import scoring_of


def asked(attention, **others):
    return Model(tiny=TinyModel(), attention=attention, **{"device": "cpu", **others})


def on(monkeypatch, device):
    monkeypatch.setattr(sources, "pick_device", lambda name: torch.device(device))


@pytest.mark.parametrize(
    ("device", "attention", "in_batch", "rows"),
    [
        ("cpu", "auto", False, "batch"),
        ("cpu", "segments", False, "batch"),
        ("cpu", "dense", False, "sample"),
        ("cpu", "dense", True, "batch"),
        ("cuda", "auto", False, "sample"),
        ("cuda", "auto", True, "batch"),
        ("cuda", "dense", False, "sample"),
        ("cuda", "flex", False, "batch"),
    ],
)
def test_rows_follow_from_attention_and_device(device, attention, in_batch, rows, monkeypatch):
    on(monkeypatch, device)
    assert scoring_of(asked(attention), in_batch=in_batch).rows == rows
    assert scoring_of(asked(attention, trie=False), in_batch=in_batch).rows == "path"


@pytest.mark.parametrize(
    ("device", "attention", "problem"),
    [
        ("cuda", "segments", "segments is for the CPU, and the device is cuda"),
        ("cpu", "flex", "flex needs a GPU, since FlexAttention has no backward pass on cpu"),
        ("mps", "flex", "no backward pass on mps"),
    ],
)
def test_attention_that_the_device_lacks_is_refused(device, attention, problem, monkeypatch):
    on(monkeypatch, device)
    with pytest.raises(TrifacetError, match=problem) as caught:
        scoring_of(asked(attention), in_batch=False)
    assert str(caught.value).startswith("model.attention: ")


def test_the_scorer_is_told(tiny):
    for attention, got in (("auto", "segments"), ("segments", "segments"), ("dense", "dense")):
        scorer = scoring_of(asked(attention), in_batch=False).scorer(tiny.model, tiny.family)
        assert scorer.attention == got


def test_a_family_that_needs_a_dense_mask_gets_no_other(tiny, family_folders):
    family = load_processor(family_folders("gemma3"))
    for attention in ("auto", "dense"):
        assert scoring_of(asked(attention), in_batch=False).scorer(tiny.model, family).attention == "dense"
    with pytest.raises(TrifacetError, match=r"model\.attention: segments knows .* set dense, or leave it out"):
        scoring_of(asked("segments"), in_batch=False).scorer(tiny.model, family)
