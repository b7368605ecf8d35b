"""The data card: its numbers are those of the shards, its front matter loads, and nothing in it is markup of others."""

from __future__ import annotations

import json
import re
import statistics

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from told_build import local_steps, told_build

from trifacet.building.card import Lengths, _value, card, set_facts, write_card

HOSTILE_NAME = "a | b <script>alert(1)</script> \u202egnp.exe [x](http://y) \x1b[31m `c` **d**\n---\n# no"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    with local_steps():
        recipe = told_build(tmp_path_factory.mktemp("card"), name=HOSTILE_NAME)
        yield recipe, json.loads((recipe.folder / "manifest.json").read_text(encoding="utf-8"))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_lengths_are_means_and_medians(counts):
    lengths = Lengths()
    lengths.add(" ".join(["w"] * count) for count in counts)
    lengths.add(["", "  "])
    assert lengths.texts == len(counts)
    assert lengths.mean == pytest.approx(statistics.mean(counts))
    assert lengths.median == statistics.median(counts)


def test_facts_are_those_of_the_shards(built):
    recipe, manifest = built
    for kind, facts in set_facts(recipe, manifest).items():
        rows = pa.concat_tables(
            pq.read_table(recipe.folder / shard["file"])
            for shard in manifest["shards"]
            if shard["file"].startswith(kind)
        ).to_pylist()
        assert facts.rows == len(rows) == manifest["rows"][kind]
        assert facts.images == len({row["image"] for row in rows})
        assert facts.post.mean == pytest.approx(statistics.mean(len(row["context"].split()) for row in rows))
        assert facts.alt.median == statistics.median(len(row["response"].split()) for row in rows)
        assert facts.words == {word for row in rows for word in re.findall(r"\w+", row["response"].lower())}
        for facet in ("rejected_images", "rejected_responses"):
            assert facts.rejected[facet] == sum(len(row.get(facet) or ()) for row in rows)


def test_the_card_has_a_front_matter_that_loads(built, tmp_path):
    recipe, manifest = built
    write_card(recipe, manifest, tmp_path / "card.md")
    _, front, body = (tmp_path / "card.md").read_text(encoding="utf-8").split("---\n", 2)
    values = yaml.safe_load(front)
    assert {config["config_name"] for config in values["configs"]} == {"sft", "preference"}
    for config in values["configs"]:
        assert list(recipe.folder.glob(config["data_files"][0]["path"]))
    assert values["size_categories"] == ["n<1K"]
    assert "license" not in values  # nobody but the user can know it
    assert "| Posts | 30 | 14 |" in body
    for step in manifest["steps"]:
        assert f"| {step['rows_in']} | {step['rows_out']} |" in body


def test_the_card_holds_no_markup_of_others(built):
    text = card(*built)
    body = text.split("---\n", 2)[2]
    assert "<" not in body.replace("n<", "")
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not re.search(r"(?<!\\)\]\(", body)
    assert body.count("\n# ") == 1


def test_an_empty_build_has_a_card(built, tmp_path):
    recipe, manifest = built
    empty = manifest | {"shards": [], "rows": dict.fromkeys(manifest["rows"], 0)}
    assert "all sets are empty" in card(recipe, empty)


def test_a_parameter_is_told_in_words():
    assert _value({"sft": 0.9, "test": 0.1, "preference": None}) == "sft 0.9, test 0.1"
    assert (_value([]), _value(None), _value(["a", "b"]), _value(0)) == ("none", "none", "a, b", "0")
