from __future__ import annotations

import json
import shutil
from itertools import combinations, pairwise, permutations, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from building.global_steps import post, run_step
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file, save_file
from searching import searched, some

from trifacet.base.errors import TrifacetError
from trifacet.building.rows import ROWS
from trifacet.building.similarity import candidates
from trifacet.building.similarity.alignment import similarity
from trifacet.building.similarity.clusters import ENOUGH, METHODS, Pairs, Partners, clusters, ranks, stars
from trifacet.building.similarity.pictures import boxes, sign_picture
from trifacet.building.similarity.texts import Texts, sign_texts, words_of
from trifacet.building.step import Signatures, Tools
from trifacet.building.steps import near_duplicates
from trifacet.building.steps.near_duplicates import STEP, Parameters
from trifacet.demo.facts import draw_scene, scene_generator
from trifacet.demo.posts import write_post


def photo(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Clouds and shapes: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.uniform(0, 255, (cells, cells, 3)).astype(np.uint8)).resize((width, height), 3)
        for cells in (4, 9)
    ]
    image = Image.blend(*layers, 0.4)
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        draw.ellipse((x - 60, y - 30, x + 60, y + 30), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def essay(seed: int, words: int = 30) -> str:
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("bdfgklmnprst")) + rng.choice(list("aeiou")) for _ in range(3))
                    for _ in range(words))  # fmt: skip


EDITS = {
    "resized": lambda image: image.resize((251, 180)),
    "cropped": lambda image: image.crop((24, 18, 376, 282)),
    "cropped askew": lambda image: image.crop((32, 0, 396, 280)),
    "cropped and resized": lambda image: image.crop((8, 20, 380, 290)).resize((900, 700)),
}


def save(folder: Path, name: str, image: Image.Image, **how: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / name, **how)
    return f"0:{name}"


def joined(outcome) -> set[frozenset[int]]:
    """The clusters of more than one row."""
    members: dict[int, set[int]] = {}
    for row in outcome.rows:
        members.setdefault(row["cluster"], set()).add(row["row"])
    assert all(cluster == min(rows) for cluster, rows in members.items())
    return {frozenset(rows) for rows in members.values() if len(rows) > 1}


def signatures_of(folder: Path, columns: dict[str, pa.Array], part_rows: int) -> Signatures:
    table = pa.table({"row": pa.array(range(len(next(iter(columns.values()))))), **columns})
    files = []
    for start in range(0, table.num_rows, part_rows):
        files.append(folder / f"{start}.parquet")
        pq.write_table(table.slice(start, part_rows), files[-1])
    return Signatures(tuple(files))


def naive_clusters(pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Smallest member by repeated merging of sets."""
    groups: list[set[int]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched] + [set(pair).union(*touched)]
    return {member: min(group) for group in groups for member in group}


pair_lists = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda pair: pair[0] != pair[1]))


def stars_of(amount, pairs, rank):
    """Who stays of rows that are alike just where a pair says so; and how many more pairs were asked about."""
    like, asked = {frozenset(pair) for pair in pairs}, []

    def alike(first, second):
        asked.extend(zip(first.tolist(), second.tolist(), strict=True))
        good = np.array([frozenset(pair) in like for pair in zip(first.tolist(), second.tolist(), strict=True)], bool)
        return Pairs.of(first[good], second[good], "text", np.ones(int(good.sum())))

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    found = Pairs.of(ends[:, 0], ends[:, 1], "text", np.ones(len(ends)))
    members = np.unique(ends)
    kept, _ = stars(found, members, np.array(rank)[members], alike)
    who = dict(zip(members.tolist(), members[kept].tolist(), strict=True))
    return {row: who.get(row, row) for row in range(amount)}, asked


@given(pairs=pair_lists, order=st.permutations(range(31)))
def test_who_leaves_is_like_the_one_that_stays(pairs, order):
    like = {frozenset(pair) for pair in pairs}
    kept, _ = stars_of(31, pairs, order)
    assert all(kept[kept[row]] == kept[row] for row in kept)
    assert all(row == stays or {row, stays} in like for row, stays in kept.items())
    left = {row for row, stays in kept.items() if row == stays}
    for one, members in naive_clusters(pairs).items():
        assert members in kept.values() or one in left or kept[one] in left


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), data=st.data())
def test_of_rows_that_are_all_alike_the_best_stays(sizes, data):
    """However few of their pairs were found, as long as they hang together."""
    starts = np.cumsum([0, *sizes]).tolist()
    groups = [list(range(one, two)) for one, two in pairwise(starts)]
    rank = data.draw(st.permutations(range(starts[-1])))
    every = [pair for group in groups for pair in combinations(group, 2)]
    tree = [(data.draw(st.sampled_from(group[:k])), group[k]) for group in groups for k in range(1, len(group))]
    like, members = (
        {frozenset(pair) for pair in every},
        np.array(sorted({end for pair in tree for end in pair}), np.int64),
    )

    def alike(first, second):
        assert all({a, b} in like for a, b in zip(first.tolist(), second.tolist(), strict=True))
        return Pairs.of(first, second, "text", np.ones(len(first)))

    ends = np.array(tree, np.int64).reshape(-1, 2)
    found = Pairs.of(ends[:, 0], ends[:, 1], "text", np.ones(len(ends)))
    kept, _ = stars(found, members, np.array(rank)[members], alike)
    for group in groups:
        stays = {int(members[kept[np.searchsorted(members, row)]]) for row in group if len(group) > 1}
        assert stays == ({min(group, key=lambda row: rank[row])} if len(group) > 1 else set())


def test_a_chain_is_cut_where_rows_are_no_longer_like_the_one_that_stays():
    kept, _ = stars_of(5, [(0, 1), (1, 2), (2, 3), (3, 4)], range(5))
    assert kept == {0: 1, 1: 1, 2: 1, 3: 3, 4: 3}
    long = [(k, k + 1) for k in range(30)]
    kept, asked = stars_of(31, long, range(31))
    assert all(abs(row - stays) <= 1 for row, stays in kept.items())
    assert len(set(kept.values())) <= 16
    assert len(asked) < 5 * 31


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_best_comes_first_by_the_rule(rows):
    one, two = (np.array(values) for values in zip(*rows, strict=True))
    by_rule = sorted(range(len(rows)), key=lambda m: (-rows[m][0], -rows[m][1], m))
    assert np.argsort(ranks(one, two)).tolist() == by_rule


def test_a_pair_is_wanted_once_and_of_a_row_enough_are():
    partners, hub = Partners(100), np.zeros(50, np.int64)
    first, second = partners.wanted(np.concatenate([hub, hub]), np.tile(np.arange(50, 100), 2))
    assert (first.tolist(), second.tolist()) == ([0] * 50, list(range(50, 100)))
    partners.add(first, second)
    assert not len(partners.wanted(first, second)[0])
    clique = np.array(list(combinations(range(1, 30), 2)))
    partners.add(*partners.wanted(*clique.T))
    assert not len(partners.wanted(np.array([1]), np.array([0]) + 29)[0])
    assert len(partners.wanted(np.array([1]), np.array([99]))[0])
    assert ENOUGH < 28


@pytest.mark.parametrize("edit", some(EDITS, "resized", "cropped and resized"))
def test_an_edited_picture_is_found_and_another_is_not(tmp_path, edit):
    posts = []
    for seed in range(12):
        image = photo(seed)
        copy = save(tmp_path, f"{seed}b.jpg", EDITS[edit](image), quality=60)
        posts += [post(len(posts), file=save(tmp_path, f"{seed}.png", image)), post(len(posts) + 1, file=copy)]
    expected = {frozenset({k, k + 1}) for k in range(0, 24, 2)}
    found = run_step(STEP, posts, tmp_path, keep="all", by=["image"])
    assert joined(found) == expected
    assert not found.events
    turned = [{**row, "row": k, "id": f"post-{k}"} for k, row in enumerate(reversed(posts))]
    assert joined(run_step(STEP, turned, tmp_path, keep="all", by=["image"])) == expected


def lettered(kind: str, say: str) -> Image.Image:
    """One template with other words or marks on it."""
    font = ImageFont.load_default(18)
    if kind == "page":
        image = Image.new("RGB", (480, 320), "white")
        for line in range(12):
            words = essay(1000 * ord(say[0]) + line, 7)
            ImageDraw.Draw(image).text((24, 20 + 23 * line), words, fill="black", font=font)
        return image
    image = photo(7, 600, 400)
    draw = ImageDraw.Draw(image)
    if kind == "meme":
        draw.text((300, 380), say, fill="white", font=font, anchor="mm", stroke_width=2, stroke_fill="black")
    elif kind == "score":
        draw.rectangle((230, 170, 370, 230), fill="black")
        draw.text((300, 200), f"HOM {say} AWA", fill="yellow", font=font, anchor="mm")
    elif kind == "pin":
        x, y = 40 + 500 * (ord(say[0]) % 7) / 7, 40 + 300 * (ord(say[1]) % 5) / 5
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill="red", outline="white", width=2)
    else:
        draw.ellipse((300, 200, 316, 216), fill="#c03040" if say == "red" else "#127a20")
    return image


TEMPLATES = {
    "page": ("a", "b"),
    "meme": ("when it is monday", "one does not simply", "when it is tuesday"),
    "score": ("2 : 1", "2 : 7", "0 : 1"),
    "pin": ("a1", "b2", "c3"),
    "mark of another colour": ("red", "green"),
}


@pytest.mark.parametrize("kind", some(TEMPLATES, "page", "meme", "mark of another colour"))
def test_pictures_of_one_template_that_say_other_things_stay(tmp_path, kind):
    posts = []
    for k, say in enumerate(TEMPLATES[kind]):
        posts.append(post(2 * k, file=save(tmp_path, f"{k}.jpg", lettered(kind, say), quality=90)))
        copy = lettered(kind, say).crop((8, 6, 590, 396) if kind != "page" else (0, 0, 480, 320))
        posts.append(post(2 * k + 1, file=save(tmp_path, f"{k}b.jpg", copy, quality=40)))
    expected = {frozenset({2 * k, 2 * k + 1}) for k in range(len(TEMPLATES[kind]))}
    assert joined(run_step(STEP, posts, tmp_path, keep="all", by=["image"])) == expected


def test_texts_of_few_sentences_stay_where_they_say_other_things(tmp_path):
    """Independent posts of a small world: what they share is the template."""
    texts = []
    for number in range(400):
        rng = scene_generator(17, "few sentences", number)
        texts.append(" ".join(write_post(draw_scene(rng), rng)))
    outcome = run_step(STEP, [post(k, context=text) for k, text in enumerate(texts)], tmp_path, by=["text"])
    assert len(outcome.dropped) <= 12, "154 of them left while every pair of words weighed the same and chains joined"
    for event in outcome.events:
        detail = json.loads(event["detail"])
        one, other = (set(pairwise(words_of(texts[row]))) for row in (event["row"], detail["kept"]))
        assert len(one & other) / len(one | other) >= 0.6 <= detail["similarity"]
    copies = [post(400 + k, context=texts[k].upper() + " really") for k in range(3)]
    long = [post(403 + k, context=" ".join(texts[10 * k : 10 * k + 3])) for k in range(3)]
    edited = [post(406 + k, context=str(long[k]["context"]).replace("for", "only for", 1)) for k in range(3)]
    rows = [*(post(k, context=text) for k, text in enumerate(texts)), *copies, *long, *edited]
    again = run_step(STEP, rows, tmp_path, by=["text"])
    assert {406, 407, 408} <= set(again.dropped), "copies with a word added are found among them"


def test_texts_put_together_from_a_stock_of_sentences_stay_and_their_edited_copies_leave(tmp_path):
    """A team's posts: a walk, a thing, a place, two remarks; what the threshold alone would take for copies."""
    things = ["a red kite", "two grey herons", "a stack of books", "a blue bicycle", "an old clock", "a yellow tram"]
    places = ["the lake", "the old market", "the north beach", "my kitchen", "the school yard", "the harbour wall"]
    remarks = ["The light was soft and warm.", "I could have stayed for hours.", "We laughed a lot about it later."]
    parts = product(things, places, permutations(remarks, 2))
    texts = [f"We saw {thing} near {place} this morning. {one} {other}" for thing, place, (one, other) in parts]
    assert not run_step(STEP, [post(k, context=text) for k, text in enumerate(texts)], tmp_path, by=["text"]).dropped
    copied = (10, 50, 90, 130)
    copies = [texts[10], texts[50].upper(), texts[90] + " Yes!", texts[130].replace("stayed", "lingered")]
    rows = [post(k, context=text) for k, text in enumerate([*texts, *copies])]
    pairs = {frozenset({row, len(texts) + k}) for k, row in enumerate(copied)}
    assert joined(run_step(STEP, rows, tmp_path, keep="all", by=["text"])) == pairs


def test_the_same_scene_with_another_object_is_another_picture(tmp_path):
    posts = []
    for k, fill in enumerate(("red", "red", "blue", None)):
        image = photo(1)
        if fill:
            ImageDraw.Draw(image).ellipse((150, 100, 220, 160), fill=fill)
        posts.append(post(k, file=save(tmp_path, f"{k}.jpg", image, quality=90 - k)))
    assert joined(run_step(STEP, posts, tmp_path, keep="all", by=["image"])) == {frozenset({0, 1})}


def test_flat_pictures_are_alike_by_colour_only(tmp_path):
    colours = [(200, 30, 30), (201, 31, 29), (200, 30, 90), (255, 255, 255), (254, 254, 254), (0, 0, 0)]
    posts = [post(k, file=save(tmp_path, f"{k}.png", Image.new("RGB", (90 + k, 70), c))) for k, c in enumerate(colours)]
    posts.append(post(6, file=save(tmp_path, "6.png", photo(3))))
    outcome = run_step(STEP, posts, tmp_path, keep="all", by=["image"])
    assert joined(outcome) == {frozenset({0, 1}), frozenset({3, 4})}


def test_a_picture_is_wholly_like_itself():
    thumbnails = np.array([sign_picture(photo(seed)).thumbnail for seed in range(3)])
    for cuts in (boxes()[[0, 0, 0]], boxes()[[1, 5, 16]]):
        assert np.allclose(similarity(thumbnails, thumbnails, cuts)[0], 1)


def test_texts_as_comparing_all_with_all(tmp_path):
    rng = np.random.default_rng(5)
    texts = []
    for seed in range(40):
        texts.append(essay(seed))
        for _ in range(seed % 4):
            words = texts[-1].split()
            words[int(rng.integers(len(words)))] = "changed"
            texts.append(" ".join(words).upper() + "!!")
    posts = [post(k, context=texts[k]) for k in rng.permutation(len(texts)).tolist()]
    posts = [{**row, "row": k} for k, row in enumerate(posts)]

    def alike(a: str, b: str) -> bool:
        one, other = (set(pairwise(w)) for w in (words_of(a), words_of(b)))
        return len(one & other) / len(one | other) >= 0.6

    naive = naive_clusters(
        [(a["row"], b["row"]) for a, b in combinations(posts, 2) if alike(a["context"], b["context"])]
    )
    outcome = run_step(STEP, posts, tmp_path, part_rows=9, keep="all", by=["text"])
    assert {row["row"]: row["cluster"] for row in outcome.rows} == {k: naive.get(k, k) for k in range(len(posts))}
    assert len(joined(outcome)) == 30


def test_similarity_of_texts_is_jaccards(tmp_path):
    texts = [essay(seed, 20) for seed in range(3)]
    texts += [texts[0] + " and more", essay(9, 1500), essay(9, 1500) + " " + essay(10, 300)]
    signatures = signatures_of(tmp_path, sign_texts(texts, 2, 0.6), 2)
    pairs = list(combinations(range(len(texts)), 2))
    first, second = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    with Texts(signatures, tmp_path) as compared:
        found = compared.similarity(first, second)
    for (a, b), value in zip(pairs, found.tolist(), strict=True):
        one, other = (set(pairwise(w)) for w in (words_of(texts[a]), words_of(texts[b])))
        allowed = 1e-12 if len(one | other) <= 512 else 0.08  # then it is estimated from 512
        assert value == pytest.approx(len(one & other) / len(one | other), abs=allowed)


def test_short_texts_are_nobodys_duplicates(tmp_path):
    posts = [
        post(k, context=text) for k, text in enumerate(["Good morning!"] * 3 + [essay(1, 7)] * 2 + [essay(1, 8)] * 2)
    ]
    assert joined(run_step(STEP, posts, tmp_path, keep="all", by=["text"])) == {frozenset({5, 6})}


def test_case_spaces_marks_and_addresses_do_not_matter():
    assert words_of("Hello,  WORLD — see https://a.example/b?c=1 ｎｏｗ") == ["hello", "world", "see", "now"]
    assert words_of("今日は good") == ["今", "日", "は", "good"]


def mixed_posts(folder: Path) -> list[dict[str, object]]:
    """Duplicates by picture, by text and by both ways in a chain; a picture that cannot be read; a row without one."""
    posts = []
    for seed in range(8):
        image, words = photo(seed), essay(seed)
        posts.append(post(len(posts), file=save(folder, f"{seed}.jpg", image), context=words, alt="one two"))
        if seed % 2:
            copy = save(folder, f"{seed}c.jpg", EDITS["cropped askew"](image), quality=50)
            posts.append(post(len(posts), file=copy, context=essay(100 + seed), alt="one two three", width=9, height=9))
        if seed % 4 == 3:
            other = save(folder, f"{seed}o.jpg", photo(200 + seed))
            posts.append(post(len(posts), file=other, context=essay(100 + seed).title() + "?", alt="one"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return [*posts, post(len(posts), file="0:broken.jpg", alt="x"), post(len(posts) + 1, context="short", alt="y")]


def test_decisions_do_not_depend_on_the_parts(tmp_path):
    posts = mixed_posts(tmp_path)
    outcomes = [run_step(STEP, posts, tmp_path, part_rows=size) for size in (1, 7, 1000)]
    for other in outcomes[1:]:
        assert other.rows == outcomes[0].rows
        assert other.events == outcomes[0].events
    assert len(outcomes[0].dropped) == 6


def test_who_stays_and_what_is_told_of_the_others(tmp_path):
    posts = mixed_posts(tmp_path)
    outcome = run_step(STEP, posts, tmp_path)
    every = run_step(STEP, posts, tmp_path, keep="all")
    left = {row["cluster"]: row for row in outcome.rows}
    assert len(left) == len(outcome.rows) == len({row["cluster"] for row in every.rows})
    assert sum(len(members) for members in joined(every)) == 10
    for members in joined(every):
        kept = left[min(members)]
        best = max(members, key=lambda m: (len(str(posts[m]["alt"]).split()), -m))
        assert kept["row"] == best, "in the chains of three it is the one in the middle too"
        for event in outcome.events:
            if event["row"] in members:
                detail = json.loads(event["detail"])
                assert (detail["cluster"], detail["kept"]) == (min(members), kept["row"])
                assert (detail["kept_id"], detail["kept_file"]) == (kept["id"], kept["file"])
                assert detail["similarity"] >= (0.95 if detail["by"] == "image" else 0.6)
    noted = [event for event in outcome.events if event["verdict"] == "note"]
    assert [(event["row"], event["reason"]) for event in noted] == [(len(posts) - 2, "image not compared")]


def test_nothing_alike_and_no_rows_at_all(tmp_path):
    assert run_step(STEP, [], tmp_path).rows == []
    outcome = run_step(STEP, [post(k, context=essay(k)) for k in (0, 4, 9)], tmp_path, part_rows=2)
    assert [(row["row"], row["cluster"]) for row in outcome.rows] == [(0, 0), (4, 4), (9, 9)]


def test_a_hub_makes_few_pairs_and_stays_whole(tmp_path):
    amount = 5000
    keys = {
        "key": pa.array([7] * amount, pa.uint64()),
        "tie": pa.array([k * 977 % amount for k in range(amount)], pa.uint64()),
    }
    found = list(candidates.equal_keys(signatures_of(tmp_path, keys, 700), "key", "tie"))
    first, second = (np.concatenate([pair[k] for pair in found]) for k in (0, 1))
    assert len(first) <= (candidates.NEXT + 1) * amount
    assert (first < second).all()
    members, smallest = clusters(first, second)
    assert len(members) == amount
    assert not smallest.any()


@pytest.mark.parametrize("range_rows", [40, 10_000])
def test_near_codes_are_found_in_hubs_and_ranges(tmp_path, monkeypatch, range_rows):
    monkeypatch.setattr(candidates, "RANGE_ROWS", range_rows)
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 2**63, 300, dtype=np.uint64) * np.uint64(2)
    codes[200:] = codes[100:200] ^ (np.uint64(1) << rng.integers(0, 64, 100).astype(np.uint64))  # one bit off
    codes[:50] = codes[0]
    columns = {"code": pa.array(codes, mask=np.arange(300) == 250)}
    near = candidates.near_codes(signatures_of(tmp_path, columns, 64), candidates.CodeColumns("code"), 3)
    assert np.bincount(near.asked).max() <= candidates.CLOSEST
    assert (np.bitwise_count(codes[near.asked] ^ codes[near.found]) == near.distance).all()
    members, smallest = clusters(near.asked, near.found)
    expected = dict.fromkeys(range(50), 0) | {k: k - 100 * (k >= 200) for k in range(100, 300) if k not in (150, 250)}
    assert dict(zip(members.tolist(), smallest.tolist(), strict=True)) == expected


@searched(20)
@given(values=st.lists(st.integers(0, 5), max_size=40), part_rows=st.integers(1, 40))
def test_equal_keys_join_all_that_share_one(tmp_path_factory, values, part_rows):
    if not values:
        return
    keys = {
        name: pa.array([value * step for value in values], pa.uint64()) for name, step in (("key", 2**61), ("tie", 1))
    }
    found = list(candidates.equal_keys(signatures_of(tmp_path_factory.mktemp("keys"), keys, part_rows), "key", "tie"))
    members, smallest = clusters(*(np.concatenate([pair[k] for pair in found]) for k in (0, 1)))
    expected = {k: values.index(value) for k, value in enumerate(values) if values.count(value) > 1}
    assert dict(zip(members.tolist(), smallest.tolist(), strict=True)) == expected


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory) -> str:
    """A CLIP with random weights and a tokenizer of single words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

    words = sorted({word for seed in range(12) for word in essay(seed).split()})
    vocabulary = {word: k for k, word in enumerate(["<pad>", "<unk>", *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = small | {"vocab_size": len(vocabulary), "max_position_embeddings": 40, "eos_token_id": 0, "bos_token_id": 0}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=small | {"image_size": 32, "patch_size": 8}, projection_dim=24)
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    size = {"shortest_edge": 32}
    images = CLIPImageProcessor(size=size, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return str(folder)


def test_the_model_finds_what_is_identical(tmp_path, tiny_clip):
    posts = []
    for seed in range(6):
        name = save(tmp_path, f"{seed}.png", photo(seed))
        posts.append(post(2 * seed, file=name, context=essay(seed)))
        posts.append(post(2 * seed + 1, file=name, context=essay(seed)))
    posts.append(post(12, context="too short for the model"))
    exact = {"model": tiny_clip, "model_image_similarity": 0.99999, "model_text_similarity": 0.99999}
    outcome = run_step(STEP, posts, tmp_path, part_rows=4, keep="all", **exact)
    assert joined(outcome) == {frozenset({k, k + 1}) for k in range(0, 12, 2)}
    parameters = Parameters(**exact)
    table = STEP.sign(pa.Table.from_pylist(posts, schema=ROWS), parameters, tools_of(tmp_path))
    signatures = signatures_of(
        tmp_path, {name: table.column(name).combine_chunks() for name in table.column_names[1:]}, 5
    )
    with near_duplicates.Likeness(signatures, parameters, tools_of(tmp_path)) as likeness:
        pairs = zip(*(column.tolist() for column in likeness.found), strict=True)
    found = [(METHODS[by], frozenset({first, second})) for first, second, by, close in pairs if abs(close - 1) < 1e-3]
    for method in METHODS:
        assert {ends for by, ends in found if by == method} == {frozenset({k, k + 1}) for k in range(0, 12, 2)}


def test_the_model_decides_where_pixels_leave_doubt(tmp_path, tiny_clip):
    """Two renderings too different for pixels: with a low threshold the model joins them, and is named for it."""
    posts = []
    for k, fill in enumerate(("red", "blue")):
        image = photo(1)
        ImageDraw.Draw(image).ellipse((150, 100, 220, 160), fill=fill)
        posts.append(post(k, file=save(tmp_path, f"{k}.png", image)))
    assert not joined(run_step(STEP, posts, tmp_path, keep="all", by=["image"]))
    outcome = run_step(STEP, posts, tmp_path, by=["image"], model=tiny_clip, model_image_similarity=0.5)
    assert json.loads(outcome.events[0]["detail"])["by"] == "image embedding"


def test_a_folder_without_a_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(TrifacetError, match=r"near-duplicates\.model: .*cannot be loaded"):
        run_step(STEP, [post(0, context=essay(1))], tmp_path, model=str(tmp_path))


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("change", "said"), [(without_a_weight, r"lacks weights text_projection\.weight"), (pickled, "safetensors")]
)
def test_a_model_without_all_its_weights_is_refused(tmp_path, tiny_clip, change, said):
    """A weight that is not there would be drawn at random, another one at each start."""
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    change(folder)
    with pytest.raises(TrifacetError, match=rf"^near-duplicates\.model: [^\n]*{said}"):
        run_step(STEP, [post(0, context=essay(1))], tmp_path, model=str(folder))


def tools_of(folder: Path) -> Tools:
    return Tools(seed=17, folder=folder, roots={"0": folder})
