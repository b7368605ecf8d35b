"""Pictures with signs: boxes that hold the letters, posts that cannot be trusted, texts that are wrong as they say,
rows that agree with the truth, and letters that the real reader reads.
"""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from trifacet.base.digests import file_digest
from trifacet.base.images import load_image
from trifacet.data.records import make_sample
from trifacet.data.settings import World
from trifacet.demo.facts import COLOURS, SHAPES, scene_generator
from trifacet.demo.make import write_world
from trifacet.demo.signs import KIND_OF, SIGN_SHARE, WORDS, draw_signed, render_signed, word_boxes
from trifacet.demo.signs_files import scene_of
from trifacet.demo.signs_texts import (
    BESIDE,
    RIGHT,
    WRONG,
    answer,
    careless_caption,
    careless_word,
    clean,
    worse_caption,
    worse_word,
    write_post,
)
from trifacet.demo.things import mask_of
from trifacet.demo.things_files import truth_table
from trifacet.metrics.grounding import ground
from trifacet.metrics.objects import count_named, truth_of

AMOUNT = 1500
SIZE = 96
THINGS = {
    "preference.jsonl": "c9de8633f3dc07f7",
    "sft.jsonl": "cb3ec0f76d1be1f5",
    "test.jsonl": "6f773cfa27839662",
    "validation.jsonl": "695ea0fd21a819b4",
}
KINDS = {"sft": "sft", "preference": "preference", "validation": "test", "test": "test"}


@pytest.fixture(scope="module")
def drawn():
    """Scenes with their posts and the generator that their texts are drawn with."""
    found = []
    for index in range(AMOUNT):
        rng = scene_generator(7, "train", index)
        scene = draw_signed(rng)
        found.append((scene, write_post(scene, rng), rng))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signs")
    write_world(folder, World(kind="signs", sft=36, preference=36, validation=6, test=24), seed=3, image_size=SIZE)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def quoted(text):
    return tuple(text.split('"')[1].split()) if '"' in text else ()


def named(text, scene):
    return count_named(text, truth_of({"objects": truth_table(scene.things)}))


def test_a_box_of_a_word_holds_all_that_changes_without_it(drawn):
    for scene, _, _ in [one for one in drawn if one[0].sign][:60]:
        picture = np.asarray(render_signed(scene, SIZE))
        for word, (left, upper, right, lower) in zip(scene.words, word_boxes(scene.sign, SIZE), strict=True):
            others = tuple(other for other in scene.words if other != word)
            without = np.asarray(render_signed(replace(scene, sign=replace(scene.sign, words=others)), SIZE))
            changed = (picture != without).any(axis=-1)
            assert changed[upper:lower, left:right].sum() == changed.sum() > 20


def test_signs_things_and_words_do_not_overlap(drawn):
    for scene, _, _ in [one for one in drawn if one[0].sign][:60]:
        with_sign = np.asarray(render_signed(scene, SIZE))
        without = np.asarray(render_signed(replace(scene, sign=None), SIZE))
        board = (with_sign != without).any(axis=-1)
        assert not any((board & mask_of(thing, SIZE)).any() for thing in scene.things.things)
        boxes = word_boxes(scene.sign, SIZE)
        assert all(above[3] <= below[1] for above, below in pairwise(boxes))


def test_words_and_things_are_drawn_evenly(drawn):
    signs = [scene for scene, _, _ in drawn if scene.sign]
    assert abs(len(signs) / AMOUNT - SIGN_SHARE) < 0.04
    assert {len(scene.words) for scene in signs} == {1, 2, 3}
    for kind, words in WORDS.items():
        counted = Counter(scene.word_of(kind) for scene in signs if scene.word_of(kind))
        expected = counted.total() / len(words)
        assert set(counted) == set(words)
        assert max(abs(amount - expected) for amount in counted.values()) < 5 * expected**0.5
    for which, values in (("shape", SHAPES), ("colour", COLOURS)):
        counted = Counter(getattr(thing, which) for scene, _, _ in drawn for thing in scene.things.things)
        expected = counted.total() / len(values)
        assert max(abs(amount - expected) for amount in counted.values()) < 5 * expected**0.5


def test_a_post_names_words_rightly_wrongly_or_not_by_the_documented_shares(drawn):
    of_sign, beside = Counter(), Counter()
    for scene, post, _ in drawn:
        for kind in WORDS:
            word, told = scene.word_of(kind), post.told.get(kind)
            assert (told or "") in post.text
            if word:
                of_sign["right" if told == word else "wrong" if told else "silent"] += 1
            else:
                beside[told is not None] += 1
    for found, share in ((of_sign["right"], RIGHT), (of_sign["wrong"], WRONG)):
        assert abs(found / of_sign.total() - share) < 0.04
    assert abs(beside[True] / beside.total() - BESIDE) < 0.04


def test_careless_captions_are_wrong_in_the_way_that_they_say(drawn):
    kinds = Counter()
    for scene, post, rng in drawn:
        kind, text = careless_caption(scene, post, rng)
        of_things, of_sign = kind.split("/")
        told, words = named(text, scene), quoted(text)
        assert (told.absent, told.wrongly) == {"true": (0, 0), "usual": (1, 0), "colour": (0, 1)}[of_things]
        match of_sign:
            case "true":
                assert words == scene.words
            case "left-out":
                assert scene.words
                assert not words
            case "copied":
                assert words == post.misquoted(scene) != scene.words
            case "invented":
                assert words
                assert words != scene.words
        kinds[of_sign] += 1
    assert min(kinds.values()) > 0.05 * AMOUNT
    assert 0.4 < kinds["true"] / AMOUNT < 0.8


def test_a_rejected_caption_has_one_fault_and_the_chosen_one_none(drawn):
    for scene, post, rng in drawn:
        chosen = clean(scene)
        assert quoted(chosen) == scene.words
        assert (named(chosen, scene).absent, named(chosen, scene).wrongly) == (0, 0)
        kind, rejected = worse_caption(scene, post, rng)
        told = named(rejected, scene)
        faults = (told.absent, told.wrongly, quoted(rejected) != scene.words)
        assert sum(faults) == 1
        assert faults[{"usual": 0, "colour": 1}.get(kind, 2)]


def test_answers_of_signs_are_right_or_wrong_as_they_say(drawn):
    for scene, post, rng in drawn:
        for word in scene.words:
            kind = KIND_OF[word]
            how, said = careless_word(kind, scene, post, rng)
            assert (said == word) == (how == "true")
            worse = worse_word(kind, scene, post, rng)
            assert KIND_OF[worse] == kind
            assert answer(worse) != answer(word)


def test_every_row_is_a_valid_sample_with_the_truth_and_nothing_read(folder):
    asked = Counter()
    for split, kind in KINDS.items():
        for number, row in enumerate(rows(folder / f"{split}.jsonl")):
            sample = make_sample(kind, row, file=split, row=number + 1)
            scene = scene_of(split, number, 3)
            assert np.array_equal(np.asarray(load_image(folder, sample.image)), np.asarray(render_signed(scene, SIZE)))
            assert tuple(word["text"] for word in sample.extra["sign"]["words"]) == scene.words
            assert "lettering" not in sample.extra
            asked[sample.prompt.split()[0]] += 1
            if split == "preference":
                regions = {one["word"]: one["box"] for one in sample.extra["regions"]}
                assert set(regions) == set(quoted(sample.response))
                assert sample.response not in sample.rejected_responses
    assert asked["Describe"] == 68  # two in three
    assert asked["Which"] > 5


def test_held_out_references_agree_with_their_tables(folder):
    captions = 0
    for row in rows(folder / "test.jsonl"):
        text, extra = row["references"][0], row["extra"]
        assert set(ground(text, extra).values.values()) <= {1.0}
        if truth := truth_of(extra):
            captions += 1
            told = count_named(text, truth)
            assert (told.absent, told.found, told.wrongly) == (0, told.there, 0)
            assert set(extra["facts"]) == {KIND_OF[word] for word in quoted(text)}
        else:
            assert set(extra["facts"]) == {"answer"}
    assert captions == 16


def test_a_larger_world_begins_with_the_smaller_one(folder, tmp_path):
    write_world(tmp_path, World(kind="signs", sft=5, preference=9, validation=1, test=3), seed=3, image_size=SIZE)
    for split in KINDS:
        small = rows(tmp_path / f"{split}.jsonl")
        assert small == rows(folder / f"{split}.jsonl")[: len(small)]
        assert all((tmp_path / row["image"]).read_bytes() == (folder / row["image"]).read_bytes() for row in small)


def test_the_things_are_what_they_were(tmp_path):
    """Bytes of the world of things, as they were before there were signs."""
    write_world(tmp_path, World(kind="things", sft=9, preference=7, validation=3, test=3), seed=17, image_size=32)
    assert {path.name: file_digest(path)[:16] for path in sorted(tmp_path.glob("*.jsonl"))} == THINGS


def test_the_reader_reads_every_word(folder, tmp_path):
    from trifacet.lettering.reading import Readings
    from trifacet.lettering.settings import Reading

    readings = Readings(Reading(), tmp_path)
    with_three = [row for row in rows(folder / "test.jsonl") if len(row["extra"]["sign"]["words"]) == 3]
    for row in with_three[:2]:
        read = [word for line in readings.of(folder / row["image"]).lines for word in line.text.split()]
        assert [word for word in read if word in KIND_OF] == [one["text"] for one in row["extra"]["sign"]["words"]]


def test_the_warm_up_asks_for_words_and_things_where_they_are():
    from trifacet.demo.warmup import _LESSONS

    lessons = _LESSONS["signs"]
    for index in range(40):
        scene = draw_signed(scene_generator(9, "warmup", index))
        picture, labels, told, _ = lessons.picture(scene_generator(9, "warmup", index), SIZE)
        assert np.array_equal(np.asarray(picture), np.asarray(render_signed(scene, SIZE)))
        for at, (kind, words) in enumerate(WORDS.items()):
            assert (None, *words)[labels[at]] == scene.word_of(kind)
        left = next((thing for thing in scene.things.things if thing.x < 0.5), None)
        assert (None, *SHAPES)[labels[3]] == (left and left.shape)
        assert all(word in told for word in scene.words)
    where_PA = lessons.where(36)[0]
    assert where_PA.sum(dim=0).tolist() == pytest.approx([1.0] * len(lessons.values))
    rows_of_patches = [(where_PA[:, at] > 0).nonzero().flatten() // 6 for at in range(3)]
    assert [row.unique().tolist() for row in rows_of_patches] == [[0], [1], [2]]
