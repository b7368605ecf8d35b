"""The page of probes: what it says, what it leaves out, what it refuses, and that it can be read by everyone."""

import copy
import json
import re

import numpy as np
import pytest
from axe import assert_accessible, in_light_and_dark

from trifacet.base.errors import DataError
from trifacet.probing.attention import Shares
from trifacet.probing.document import Grounding, Noise, Probe
from trifacet.probing.summing import attention_of, embeddings_of
from trifacet.probing.vectors import Vectors
from trifacet.reports.probes import PAIRS_DRAWN, probe_sections, read_probe, write_page

HOSTILE = '<script>alert(1)</script>"&\x07'


def shares(rng, layers=3, image=True):
    tokens = np.array([8.0 * image, 5, 6, 1])
    raw = rng.random((layers, 4)) * tokens
    return Shares(raw / raw.sum(1, keepdims=True), rng.random(layers), tokens / tokens.sum())


def document(model, seed=0, samples=6, others=()):
    rng = np.random.default_rng(seed)
    ids = tuple(f"{HOSTILE}{number}" for number in range(samples))
    vectors = Vectors(model, ids, *rng.normal(size=(2, samples, 5)).astype(np.float32))
    facts = Grounding(samples=3, clean=0.75, noised=0.5, drop=0.25, interval=[0.125, 0.375])
    noise = Noise(
        t=900, kept=0.13, samples=samples, changed=0.5, changed_count=3, interval=[0.2, 0.8], similarity=0.7,
        similarity_interval=None, grounding=facts,
    )  # fmt: skip
    attention = attention_of(
        {name: shares(rng) for name in ids}, left_out=2, without_image=0, without_context=1, seed=1
    )
    return Probe(
        model=model, data=HOSTILE, samples=samples, text="generated", seed=1, notes=[HOSTILE], attention=attention,
        noise=[noise], embeddings=embeddings_of(vectors, list(others), samples, 1),
    ), vectors  # fmt: skip


@pytest.fixture(scope="module")
def probes():
    first, vectors = document("sft")
    second, _ = document(HOSTILE, seed=1, others=[vectors])
    return {"a.json": first.model_dump(), HOSTILE: second.model_dump()}


def test_every_text_is_escaped_and_ids_are_unique(probes, tmp_path):
    write_page({**probes, "again": probes["a.json"]}, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "\x07" not in page
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert "sft (a.json)" in page  # of two models with one name
    assert "does not show that an answer is grounded" in page


def test_tables_hold_the_documents_numbers(probes):
    attention, noise, distances = probe_sections(probes)
    for part in probes.values():
        assert f"{part['attention']['shares']['image']:.3f}" in attention
        assert f"{part['attention']['relative']['first']:.2f} ×" in attention
        assert f"{part['embeddings']['distances']['euclidean']['value']:.3g}" in distances
    assert "3 of 6" in noise
    assert "75% → 50%" in noise
    assert "lost 25, 12 to 38" in noise
    assert distances.count("<svg") == 2 + 1 + 2  # each model's plane, the shared one, its two marks


def test_what_no_probe_has_is_left_out(probes):
    bare = {**probes["a.json"], "attention": None, "embeddings": None}
    (section,) = probe_sections({"x": bare})
    assert "Answers under noise" in section
    assert len(probe_sections({"x": bare, **probes})) == 3
    assert probe_sections({"x": {**bare, "noise": None}}) == []


def test_layers_without_shares_and_single_samples_are_drawn():
    one, _ = document("one", samples=1)
    dumped = one.model_dump()
    dumped["attention"]["per_layer"][0]["shares"] = None
    attention, _, distances = probe_sections({"x": dumped})
    assert "in layer 2 to" in attention
    assert "–" in distances  # no silhouette of a single sample
    many, _ = document("many", samples=PAIRS_DRAWN + 5)
    assert f"The first {PAIRS_DRAWN} pairs" in probe_sections({"x": many.model_dump()})[2]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), 3),
        (("kind",), "other"),
        (("version",), 2),
        (("attention", "shares", "image"), 1.5),
        (("attention", "per_layer", 0, "shares", "first"), "x"),
        (("attention", "relative", "image"), float("nan")),
        (("noise", 0, "t"), 1001),
        (("noise", 0, "interval"), [0.1]),
        (("embeddings", "distances", "other"), {"value": 1.0, "interval": None}),
        (("embeddings", "points", 0, "generated"), [1.0, float("inf")]),
    ],
)
def test_a_damaged_document_is_refused_by_file_and_field(probes, tmp_path, path, value):
    file = tmp_path / "p.json"
    whole = copy.deepcopy(probes["a.json"])
    file.write_text(json.dumps(whole))
    assert read_probe(file) == whole
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(whole))
    with pytest.raises(DataError) as error:
        read_probe(file)
    assert "p.json" in str(error.value)
    assert ".".join(map(str, path[:2])) in str(error.value)


def test_what_is_no_document_is_refused(tmp_path):
    for text in ("", "[]", "{", "\x00", '{"model": "x"}'):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(DataError, match=r"p\.json"):
            read_probe(tmp_path / "p.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_probe(tmp_path)


@in_light_and_dark
def test_the_page_has_no_violation_and_fits_its_window(probes, tmp_path, dark):
    write_page(probes, tmp_path / "page.html")
    assert_accessible(tmp_path / "page.html", dark=dark)
