"""The knobs of the world of posts: at their defaults nothing changes, and each does what it says and no more."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from trifacet.base.images import load_image
from trifacet.data.post_settings import Posts
from trifacet.data.records import make_sample
from trifacet.data.settings import World
from trifacet.demo.alttext import USUAL, clean, usual, write_alt_text
from trifacet.demo.facts import (
    ALIKE,
    COLOURS,
    COUNTS,
    SHAPES,
    accepted,
    confusions,
    draw_scene,
    objects,
    scene_generator,
    tempting,
)
from trifacet.demo.knobs import drawn, hard_context, hard_scene, nearness
from trifacet.demo.make import post_of, write_world
from trifacet.demo.posts import write_post
from trifacet.demo.renderer import Nearness, draw_thing, render_scene
from trifacet.demo.tiny import make_tiny_llava
from trifacet.metrics.grounding import ground, tempted
from trifacet.metrics.objects import count_named, truth_of
from trifacet.metrics.scores import score_texts
from trifacet.models.settings import TinyModel

SPLITS = {"sft": "sft", "preference": "preference", "validation": "test", "test": "test"}
# of jsonl and pictures of each split, as the world wrote them before it had knobs: (seed, size) -> split -> SHA-256
BEFORE = {
    (3, 32): {
        "sft": "ab3c51093ce34ff57747edb6a5ad81528bfce41426c81058aa0cf3beb133a464",
        "preference": "80eeff119671aba38e102523270cb598057130164d917e6ce25472d4a3d57640",
        "validation": "9a82af53c858ef02fb165b30e15e6c4c1e57a51263204a8231bd5f7b2dcf2219",
        "test": "21fce25534bde782572111d7a3ed079dc4a533b8de4f26b45414d3b167becbb2",
    },
    (17, 64): {
        "sft": "1fc8650c05b7a7b9d526f0f718fe5d2f6942b50d9058bdb7bbe6bb527f642433",
        "preference": "dbf7ae987d0572175c2876539784adee0cb07fbc093af35b6c651ba5d4b0458c",
        "validation": "09c73a50d4c8d63eaed59daa7fbe6127e3917ba507b2629e49bfc25173a1e4cb",
        "test": "3995a935f9f31c77fc2b7bcf1c62a201690e6a15ef9bfdf3ad0c7a65b09042f7",
    },
}
EVERYTHING = Posts(
    tempting=0.5,
    tempts={"colour": 0.3, "shape": 0.2, "count": 0.2, "thing": 0.3},
    near_colours=0.5,
    near_shapes=0.5,
    post_alone={"colour": 0.2, "shape": 0.2},
    in_both={"colour": 0.3, "shape": 0.1, "count": 0.3},
    kinds={"one": 0.4, "two": 0.3, "three": 0.3},
    texts={"clean": 0.4, "tempted": 0.2, "absent": 0.2, "generic": 0.1, "verbose": 0.1},
    chosen_noise=0.3,
    swapped=0.2,
    rejected={"tempted": 0.3, "absent": 0.3, "wrong": 0.4},
    hard_contexts=0.6,
    hard_images=0.6,
    chat=2,
    clauses=1,
)
AMOUNT = 600


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def world(folder, posts=None, seed=3, size=32, **amounts):
    spec = {"sft": 12, "preference": 12, "validation": 4, "test": 4, **amounts}
    write_world(folder, World(posts=posts or Posts(), **spec), seed, size)
    return {split: rows(folder / f"{split}.jsonl") for split in SPLITS}


def scenes(posts, split="sft", amount=AMOUNT):
    return [drawn(scene_generator(7, split, index), posts) for index in range(amount)]


def share(values):
    return float(np.mean(list(values)))


def about(value, amount=AMOUNT):
    """Within four standard errors."""
    return pytest.approx(value, abs=4 * (value * (1 - value) / amount) ** 0.5 + 1e-9)


# --- at the defaults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "size"), BEFORE)
def test_at_the_defaults_every_byte_is_what_it_was(tmp_path, seed, size):
    world(tmp_path, seed=seed, size=size)
    for split, before in BEFORE[seed, size].items():
        digest = hashlib.sha256((tmp_path / f"{split}.jsonl").read_bytes())
        for picture in sorted(tmp_path.glob(f"images/{split}-*.png")):
            digest.update(picture.name.encode() + picture.read_bytes())
        assert digest.hexdigest() == before
    assert len(list((tmp_path / "images").iterdir())) == 32


def test_at_the_defaults_scenes_and_posts_are_those_without_knobs():
    for index in range(50):
        scene, post = drawn(scene_generator(7, "sft", index), Posts())
        rng = scene_generator(7, "sft", index)
        assert (scene, list(post.sentences)) == (plain := draw_scene(rng), write_post(plain, rng))


def test_the_warm_up_shows_the_worlds_own_pictures(tmp_path):
    spec = TinyModel(
        hidden_size=32, layers=1, heads=2, vision_hidden_size=32, vision_layers=2, vision_heads=2, image_size=32,
        patch_size=16, vocabulary=300, warmup_steps=2,
    )  # fmt: skip
    weights = {
        name: (make_tiny_llava(spec, ["a red kite for Bobati"], tmp_path / name, 3, **given) / "model.safetensors")
        for name, given in {
            "plain": {},
            "default": {"posts": Posts()},
            "near": {"posts": Posts(near_colours=1.0)},
        }.items()
    }
    assert weights["plain"].read_bytes() == weights["default"].read_bytes() != weights["near"].read_bytes()


# --- all at once ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    return folder, world(folder, EVERYTHING, sft=60, preference=60, test=60)


def test_every_row_is_a_valid_sample_whose_pictures_are_there(everything):
    folder, written = everything
    for split, kind in SPLITS.items():
        for number, row in enumerate(written[split], start=1):
            sample = make_sample(kind, row, file=split, row=number)
            for name in (sample.image, *getattr(sample, "rejected_images", ())):
                assert load_image(folder, name).size == (32, 32)


def test_a_larger_world_begins_with_the_smaller_one(everything, tmp_path):
    small = world(tmp_path, EVERYTHING, sft=5, preference=9, validation=1, test=3)
    for split in SPLITS:
        assert small[split] == everything[1][split][: len(small[split])]


def test_what_a_pair_rejects_differs_from_what_it_chooses(everything):
    folder, written = everything
    for row in written["preference"]:
        assert row["response"] not in row["rejected_responses"]
        assert row["context"] not in row.get("rejected_contexts", ())
        for name in row.get("rejected_images", ()):
            assert (folder / name).read_bytes() != (folder / row["image"]).read_bytes()


def test_the_reference_is_right_by_every_measure(everything):
    for index, row in enumerate(everything[1]["test"]):
        (text,) = row["references"]
        scene, post, _ = post_of("test", index, 3, EVERYTHING)  # as benchmarks draw it again
        assert (clean(scene, EVERYTHING.clauses), post.text) == (text, row["context"])
        assert ground(text, row["extra"]).values["grounding"] == 1
        told = count_named(text, truth_of(row["extra"]))
        assert (told.absent, told.found, told.wrongly) == (0, told.there, 0)
        assert tempted(text, row["extra"]) in (None, False)


# --- one by one ----------------------------------------------------------------------------------------------------


def test_a_knob_leaves_what_the_others_draw():
    plain = scenes(Posts(), amount=100)
    for turned in (Posts(tempting=1.0), Posts(in_both={"colour": 1.0}), Posts(chat=3), Posts(hard_images=1.0)):
        for (scene, post), (other, its_post) in zip(plain, scenes(turned, amount=100), strict=True):
            assert clean(other) == clean(scene)
            assert other.spots == scene.spots
            left = list(its_post.sentences)
            assert all(left.remove(sentence) is None for sentence in post.sentences)  # chat can repeat


@pytest.mark.parametrize("fact", ["colour", "shape", "count", "thing"])
def test_a_tempting_post_says_what_is_not_so(fact):
    told = scenes(Posts(tempting=0.4, tempts={fact: 1.0}, kinds={"one": 0.5, "two": 0.5}))
    assert share(scene.claim is not None for scene, _ in told) == about(0.4)
    for scene, post in told:
        if scene.claim is None:
            assert not tempting(scene) and not post.told
            continue
        ((of, forms),) = tempting(scene).items()
        assert of == fact and any(re.search(rf"\b{form}\b", post.told[fact]) for form in forms)
        assert not set(forms) & {word for name, words in accepted(scene).items() for word in words if name == fact}
        believed = write_alt_text("tempted", scene, post.sentences, np.random.default_rng(0))
        assert tempted(believed, {"tempts": tempting(scene)}) and not tempted(clean(scene), {"tempts": tempting(scene)})
        truth = truth_of({"objects": objects(scene)})
        assert (count_named(believed, truth).absent > 0) == (fact in ("shape", "thing"))


def test_what_tempts_is_drawn_by_its_shares():
    told = scenes(Posts(tempting=1.0, tempts={"colour": 0.7, "thing": 0.3}))
    assert share(scene.claim.fact == "colour" for scene, _ in told) == about(0.7)


@pytest.mark.parametrize("fact", ["colour", "shape"])
def test_a_plausible_wrong_value_looks_most_alike(fact):
    told = scenes(Posts(tempting=1.0, tempts={fact: 1.0}, plausible=0.6))
    chance = 0.6 + 0.4 / 5
    assert share(scene.claim.value == ALIKE[getattr(scene, fact)] for scene, _ in told) == about(chance)


@pytest.mark.parametrize("fact", ["colour", "shape", "count"])
def test_a_fact_in_both_is_told_rightly_and_named_so(fact):
    told = scenes(Posts(in_both={fact: 0.3}))
    assert share(fact in scene.in_both for scene, _ in told) == about(0.3)
    for scene, post in told:
        assert set(post.told) == set(scene.in_both)
        if scene.in_both:
            words = accepted(scene)[f"{fact}-both"]
            assert any(re.search(rf"\b{word}\b", post.told[fact]) for word in words) and fact not in accepted(scene)
            assert set(confusions(scene)) == set(accepted(scene))


@pytest.mark.parametrize(("fact", "values"), [("colour", COLOURS), ("shape", SHAPES)])
def test_a_fact_in_the_post_alone_is_not_in_the_picture(fact, values):
    told = scenes(Posts(post_alone={fact: 0.5}), amount=100)
    alone = [(scene, post) for scene, post in told if fact in scene.post_alone]
    assert 20 < len(alone) < 80
    for scene, post in alone[:5]:
        assert fact in post.told and f"{fact}-post" in accepted(scene)
        assert len({render_scene(replace(scene, **{fact: value}), 64).tobytes() for value in values}) == 1


def test_temptation_goes_before_what_the_post_tells_rightly():
    for scene, post in scenes(Posts(tempting=1.0, post_alone={"colour": 0.5}, in_both={"colour": 0.5}), amount=50):
        assert not scene.in_both | scene.post_alone and len(post.told) == 1


def test_near_attributes_look_alike():
    def apart(near, **pair):
        scene = draw_scene(scene_generator(1, "test", 0))
        one, two = (
            np.asarray(render_scene(replace(scene, **{name: value}), 64, near), dtype=float)
            for name, values in pair.items()
            for value in values
        )
        return np.abs(one - two).mean()

    for pair in ({"colour": ("red", "pink")}, {"colour": ("blue", "purple")}, {"colour": ("yellow", "green")}):
        distances = [apart(Nearness(colours=near), **pair) for near in (0, 0.5, 0.9, 1)]
        assert distances == sorted(distances, reverse=True) and distances[0] > 0 == distances[-1]
        assert distances[1] == pytest.approx(distances[0] / 2, rel=0.1)
    for pair in ({"shape": ("ball", "ring")}, {"shape": ("star", "kite")}, {"shape": ("candle", "rug")}):
        distances = [apart(Nearness(shapes=near), **pair) for near in (1e-6, 0.5, 1)]
        assert distances == sorted(distances, reverse=True) and distances[0] > 0 == distances[-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outline_hardly_moved_is_the_shape(shape):
    from PIL import Image, ImageDraw

    from trifacet.demo.renderer import _silhouette

    drawn_so = Image.new("L", (64, 64))
    draw_thing(ImageDraw.Draw(drawn_so), shape, 32, 32, 20, 255)
    one, two = np.asarray(drawn_so) > 0, np.asarray(_silhouette(shape, 1e-9, 64, 32, 32, 20)) > 0
    assert (one & two).sum() / (one | two).sum() > 0.85  # of pixels at the edge, rounded otherwise


def test_several_things_stand_in_the_order_of_reading_and_never_overlap():
    told = scenes(Posts(kinds={"one": 0.2, "two": 0.3, "three": 0.5}))
    assert share(len(scene.shapes) == 3 for scene, _ in told) == about(0.5)
    for scene, _ in told:
        assert len(set(scene.shapes)) == len(scene.shapes) and len(scene.spots) == scene.count
        cells = [(spot[1] > 0.595, spot[0] > 0.5) for spot in (*scene.spots, *(one.spot for one in scene.others))]
        assert cells == sorted(set(cells)) and len(cells) <= 4
        assert objects(scene)["there"].keys() == set(scene.shapes)
        assert not {word for words in confusions(scene).values() for word in words} & {*scene.shapes, *scene.colours}
    assert {scene.count for scene, _ in told if len(scene.shapes) == 3} == {1, 2}


def test_absent_is_what_is_usual_beside_what_is_there():
    for scene, post in scenes(Posts(kinds={"one": 0.5, "two": 0.5}), amount=200):
        if (other := usual(scene)) is None:
            assert all(USUAL.get(shape, shape) in scene.shapes for shape in scene.shapes)
            continue
        text = write_alt_text("absent", scene, post.sentences, np.random.default_rng(0))
        told = count_named(text, truth_of({"objects": objects(scene)}))
        assert (told.absent, told.found) == (1, len(scene.shapes)) and f" {other}" in text


def test_shares_of_texts_are_kept(tmp_path):
    posts = Posts(texts={"clean": 0.5, "tempted": 0.3, "copied": 0.2}, tempting=0.5, rejected={"tempted": 1.0})
    written = world(tmp_path, posts, sft=AMOUNT, preference=60, size=8)
    kinds = [row["extra"]["kind"] for row in written["sft"]]
    assert share(kind == "copied" for kind in kinds) == about(0.2)
    assert share(kind == "tempted" for kind in kinds) == about(0.15)  # in half of the posts there is nothing to believe
    assert {row["extra"]["rejected_kind"] for row in written["preference"]} == {"tempted", "wrong"}


def test_noise_in_chosen_texts_and_swapped_pairs(tmp_path):
    before = world(tmp_path / "plain", size=8, preference=300)["preference"]
    noisy = world(tmp_path / "noisy", Posts(chosen_noise=0.4), size=8, preference=300)["preference"]
    swapped = world(tmp_path / "swapped", Posts(swapped=0.3), size=8, preference=300)["preference"]
    changed = ["chosen_kind" in row["extra"] for row in noisy]
    assert share(changed) == about(0.4, 300)
    for row, other, is_noisy in zip(before, noisy, changed, strict=True):
        assert other["rejected_responses"] == row["rejected_responses"] and other["context"] == row["context"]
        assert (other["response"] != row["response"]) == is_noisy
    flags = [row["extra"].get("swapped", False) for row in swapped]
    assert share(flags) == about(0.3, 300)
    for row, other, is_swapped in zip(before, swapped, flags, strict=True):
        pair = row["response"], *row["rejected_responses"]
        assert (other["response"], *other["rejected_responses"]) == (pair[::-1] if is_swapped else pair)


def test_noise_in_supervised_texts_leaves_the_pairs(tmp_path):
    before = world(tmp_path / "plain", size=8, sft=300)
    noisy = world(tmp_path / "noisy", Posts(noise=0.95), size=8, sft=300)
    assert share(row["extra"]["kind"] == "clean" for row in noisy["sft"]) == about(0.05, 300)
    assert (
        noisy["preference"] == before["preference"]
        and noisy["test"][0]["references"] == before["test"][0]["references"]
    )


def test_a_hard_rejected_post_differs_in_one_word():
    posts = Posts(in_both={"colour": 0.4, "count": 0.4}, post_alone={"shape": 0.4})
    changed = {"name": 0, "colour": 0, "shape": 0, "count": 0}
    for index, (scene, post) in enumerate(scenes(posts, "preference", 300)):
        hard = hard_context(scene, post, np.random.default_rng(index))
        one, two = (re.findall(r"\w+", text) for text in (post.text, hard))
        differing = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
        assert len({a for a, _ in differing}) == 1
        words = {"name": scene.name, "colour": scene.colour, "shape": SHAPES[scene.shape], "count": COUNTS[scene.count]}
        (fact,) = [fact for fact, word in words.items() if word == differing[0][0]]
        changed[fact] += 1
    assert min(changed.values()) > 20


def test_a_hard_rejected_picture_shows_the_same_scene_with_one_fact_changed():
    posts = Posts(kinds={"one": 0.5, "two": 0.25, "three": 0.25}, post_alone={"colour": 0.3, "shape": 0.3})
    counted = dict.fromkeys(("colour", "shape", "count", "others"), 0)
    for index, (scene, _) in enumerate(scenes(posts, "preference", 300)):
        hard = hard_scene(scene, np.random.default_rng(index))
        (fact,) = [name for name in counted if getattr(hard, name) != getattr(scene, name)]
        counted[fact] += 1
        assert fact not in scene.post_alone and len(hard.spots) == hard.count
        assert (hard.name, hard.place, hard.sign) == (scene.name, scene.place, scene.sign)
        assert render_scene(hard, 64, nearness(posts)).tobytes() != render_scene(scene, 64, nearness(posts)).tobytes()
        cells = [(spot[1] > 0.595, spot[0] > 0.5) for spot in (*hard.spots, *(one.spot for one in hard.others))]
        assert len(set(cells)) == len(cells)
    assert min(counted.values()) > 20


def test_hard_rejected_versions_come_in_their_shares(tmp_path):
    written = world(tmp_path, Posts(hard_contexts=0.5, hard_images=0.2), size=8, preference=300)["preference"]
    assert share("rejected_contexts" in row for row in written) == about(0.5, 300)
    assert share("rejected_images" in row for row in written) == about(0.2, 300)


def test_lengths(tmp_path):
    plain, long = (scenes(Posts(chat=chat), amount=50) for chat in (0, 6))
    assert all(len(b.sentences) == len(a.sentences) + 6 for (_, a), (_, b) in zip(plain, long, strict=True))
    scene = plain[0][0]
    words = [len(clean(scene, clauses).split()) for clauses in range(5)]
    assert words == sorted(set(words))
    for place_scene, _ in plain:  # and say nothing wrong
        facts = {"facts": accepted(place_scene), "confusions": confusions(place_scene)}
        assert ground(clean(place_scene, 4), facts).values["grounding"] == 1


def test_temptation_is_measured_on_the_posts_that_tempt(everything):
    test = [make_sample("test", row) for row in everything[1]["test"]]
    tempts = [sample for sample in test if "tempts" in sample.extra]
    assert 10 < len(tempts) < 50
    believing = {
        sample.id: sample.references[0] + "".join(f" {forms[0]}" for forms in sample.extra.get("tempts", {}).values())
        for sample in test
    }
    right = score_texts({sample.id: sample.references[0] for sample in test}, test)
    wrong = score_texts(believing, test)
    assert (right.metrics["tempted"], wrong.metrics["tempted"]) == (0, 100)
    assert sum("tempted" in row for row in right.per_sample.values()) == len(tempts)
    assert next(measure for measure in right.measures if measure.name == "tempted").better == "lower"
