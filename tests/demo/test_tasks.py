"""Tasks with known truth: every reference is right and every careless label wrong in the way that it says, by the judge
that reads the facts alone; rows depend on (seed, split, k); prompts are rendered as evolve renders them.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from trifacet.base.errors import TrifacetError
from trifacet.data.records import make_sample
from trifacet.data.settings import World
from trifacet.demo import tasks_roles
from trifacet.demo.facts import SHAPES, scene_generator
from trifacet.demo.make import write_world
from trifacet.demo.signs import WORDS, render_signed
from trifacet.demo.signs_files import scene_of
from trifacet.demo.signs_texts import write_post
from trifacet.demo.tasks_files import ROWS_OF_A_PICTURE, truth_of_task
from trifacet.demo.tasks_roles import CYCLE, Prompts, lesson
from trifacet.demo.tasks_texts import TASKS, draw_asked, faults, say, worse
from trifacet.demo.tasks_truth import is_right
from trifacet.metrics.grounding import ground

PROMPTS = Path(__file__).resolve().parents[2] / "bench" / "evolving" / "prompts"
AMOUNT = 1200
SIZE = 32


@pytest.fixture(scope="module")
def drawn():
    """Instructions of all tasks with their scenes, posts, facts and generators."""
    found = []
    for index in range(AMOUNT):
        scene = scene_of("train", index, 7)
        rng = scene_generator(8, "train", index)
        post = write_post(scene, rng)
        asked = draw_asked(TASKS[index % len(TASKS)], scene, post, rng)
        found.append((asked, scene, post, {"task": asked.task, **truth_of_task(asked, scene)}, rng))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    world = World(kind="tasks", prompts=str(PROMPTS), sft=192, preference=36, validation=6, test=60)
    write_world(folder, world, seed=3, image_size=SIZE)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_truth_is_right_in_both_wordings_and_what_is_worse_in_neither(drawn):
    for asked, scene, post, extra, rng in drawn:
        wrong = [worse(asked, scene, post, rng) for _ in range(3)]
        for short in (False, True):
            assert is_right(extra, say(asked, asked.truth, short=short)) is True
            assert [is_right(extra, say(asked, content, short=short)) for content in wrong] == [False] * 3


def test_the_two_wordings_differ_and_short_is_shorter(drawn):
    for task in TASKS:
        of_task = [one for one in drawn if one[0].task == task]
        full, short = ([say(one[0], one[0].truth, short=how) for one in of_task] for how in (False, True))
        assert all(one != other for one, other in zip(full, short, strict=True))
        assert sum(map(len, short)) < sum(map(len, full))


def test_the_truths_of_a_task_are_not_one_sided(drawn):
    for task, most in {"count": 0.5, "compare": 0.4, "read": 0.4, "post": 0.4, "yes-no": 0.6}.items():
        counted = Counter(say(one[0], one[0].truth, short=True) for one in drawn if one[0].task == task)
        assert counted.most_common(1)[0][1] / counted.total() < most
        assert len(counted) > 1


@pytest.mark.parametrize(
    ("task", "truth", "answer", "right"),
    [
        ("count", {"count": 2}, "I see 2 words.", True),
        ("count", {"count": 2}, "Two, or three.", False),
        ("count", {"count": 0}, "None.", True),
        ("count", {"count": 1}, "Many.", False),
        ("compare", {"left": "ball", "right": "kite"}, "The ball is left of the kite.", True),
        ("compare", {"left": "ball", "right": "kite"}, "The kite is right of the ball.", True),
        ("compare", {"left": "ball", "right": "kite"}, "The ball is on the right.", False),
        ("compare", {"left": "ball", "right": "kite"}, "The ball and the kite.", False),
        ("compare", {"left": "ball", "right": "kite"}, "The ring.", False),
        ("compare", {"more": "same"}, "There are as many.", True),
        ("compare", {"more": "same"}, "More words, as many.", False),
        ("read", {"word": "$2"}, "It says $2!", True),
        ("read", {"word": "$2"}, "It says $20!", False),
        ("read", {"word": "LUCY"}, "LUCY or ANNA.", False),
        ("read", {"word": None}, "There is no name.", True),
        ("read", {"word": None}, "LUCY, no?", False),
        ("post", {"word": None}, "A picture.", False),
        ("yes-no", {"shape": "kite", "asked": None, "colour": "red"}, "Yes, a red kite.", True),
        ("yes-no", {"shape": "kite", "asked": None, "colour": "red"}, "Yes, a blue kite.", False),
        ("yes-no", {"shape": "kite", "asked": None, "colour": "red"}, "Yes, there is a ball.", False),
        ("yes-no", {"shape": "kite", "asked": "blue", "colour": "red"}, "No, there is no blue kite.", True),
        ("yes-no", {"shape": "kite", "asked": "blue", "colour": "red"}, "No, there is no kite.", False),
        ("yes-no", {"shape": "kite", "asked": "blue", "colour": "red"}, "No, the kite is red.", True),
        ("yes-no", {"shape": "kite", "asked": None, "colour": None}, "", False),
    ],
)
def test_answers_of_other_words_are_judged_by_what_they_say(task, truth, answer, right):
    assert is_right({"task": task, "truth": truth}, answer) is right


def test_a_description_has_to_name_all_of_it_and_nothing_else(drawn):
    asked, scene, _, extra, _ = next(one for one in drawn if one[0].task == "describe" and len(one[1].words) == 2)
    text = say(asked, asked.truth, short=False)
    colour, first, second = scene.things.things[0].colour, *scene.words
    assert is_right(extra, text.lower())
    assert not is_right(extra, text.replace(f"{colour} ", "", 1).replace(colour.capitalize(), ""))
    assert not is_right(extra, text.replace(f" {second}", ""))
    assert not is_right(extra, text.replace(f"{first} {second}", f"{second} {first}"))
    assert not is_right(extra, f"{text} And a {scene.things.absent[0]}.")


def test_what_has_no_known_truth_is_not_judged():
    assert is_right({}, "Yes.") is None
    assert is_right({"truth": {"count": 1}}, "One.") is None
    assert is_right({"task": "paint", "truth": {"count": 1}}, "One.") is None


def test_careless_labels_are_wrong_in_the_way_that_they_say_and_by_the_documented_shares(drawn):
    prompts, kinds = Prompts.read(PROMPTS), defaultdict(Counter)
    for number, (asked, scene, post, extra, rng) in enumerate(drawn):
        for which in dict.fromkeys(CYCLE):
            row = lesson(which, asked, scene, post, prompts, rng)
            kinds[which][row.kind] += 1
            said = _field(row.prompt, "Said")
            if which in ("answer", "told"):
                assert is_right(extra, row.response) == (row.kind == "true")
                continue
            wrong = not is_right(extra, said)
            kinds[which, "wrong"][wrong] += 1
            match which:
                case "verdict":
                    assert is_right(extra, _field(row.prompt, "Truth"))
                    assert (row.response == "No.") == (wrong == (row.kind == "true"))
                    assert row.kind in ("true", "accepted" if wrong else "refused")
                case "feedback":
                    assert (row.response == "Right.") == (row.kind == ("missed" if wrong else "true"))
                    assert row.kind in (("true", "missed", "misled") if wrong else ("true", "blamed"))
                    if asked.task not in ("describe", "yes-no") and row.response != "Right.":
                        assert is_right(extra, row.response.removeprefix("Wrong.")) == (row.kind == "true")
                case "revision" if row.kind == "ignored":
                    assert row.response == said
                case "revision" if (remarks := _field(row.prompt, "Remarks")) == "Right.":
                    assert row.response == said
                case "revision" if asked.task not in ("describe", "yes-no"):
                    assert is_right(extra, row.response) == is_right(extra, remarks.removeprefix("Wrong."))
        assert number < AMOUNT
    for which, share, of in (
        ("accepted", tasks_roles.ACCEPTED, tasks_roles.WRONG),
        ("refused", tasks_roles.REFUSED, 1 - tasks_roles.WRONG),
    ):
        assert kinds["verdict"][which] / AMOUNT == pytest.approx(share * of, abs=0.025)
    assert kinds["feedback"]["missed"] / AMOUNT == pytest.approx(tasks_roles.MISSED * tasks_roles.WRONG, abs=0.03)
    assert kinds["answer"]["wrong"] / AMOUNT == pytest.approx(sum(tasks_roles.SLIPS.values()) / len(TASKS), abs=0.03)
    assert kinds["verdict", "wrong"][True] / AMOUNT == pytest.approx(tasks_roles.WRONG, abs=0.04)


def _field(prompt, label):
    """What a line of our short prompts says behind its label."""
    found = [line.removeprefix(f"{label}: ") for line in prompt.split("\n") if line.startswith(f"{label}: ")]
    return json.loads(found[0]) if found else None


def test_feedback_names_what_is_wrong_with_a_description_and_nothing_that_is_not(drawn):
    for asked, scene, post, _, rng in drawn:
        if asked.task != "describe":
            continue
        content = worse(asked, scene, post, rng)
        text = faults(asked, content, asked.truth)
        assert text.startswith("Wrong. ")
        assert ("sign" in text) == (content.words != scene.words)
        there = {(thing.colour, thing.shape) for thing in scene.things.things}
        for colour, shape in set(content.things) ^ there:
            assert shape in text, (colour, text)
        for _, shape in set(content.things) & there:
            assert shape not in text.split("sign")[0] or len({one[1] for one in content.things}) == 1


def test_rows_are_valid_samples_asked_as_the_prompts_have_it(folder):
    lessons = Counter()
    for number, row in enumerate(rows(folder / "sft.jsonl")):
        make_sample("sft", row, file="sft", row=number + 1)
        which, task = row["extra"]["lesson"], row["extra"]["task"]
        lessons[which, task] += 1
        assert (folder / row["image"]).exists()
        if which == "answer":
            assert row["context"]
            assert row["extra"]["truth"] is not None
            continue
        assert not row["context"]
        labels = {"verdict": ["Asked", "Post", "Truth", "Said"], "revision": ["Asked", "Post", "Said", "Remarks"]}
        there = [line.split(":")[0] for line in row["prompt"].split("\n")[:-1]]
        if which == "feedback":
            assert there in (["Asked", "Post", "Said"], ["Asked", "Post", "Truth", "Said"])
        elif which == "told":
            assert there == ["Asked", "Post", "Truth"]
        else:
            assert there == labels[which]
    assert set(lessons) == {(which, task) for which in CYCLE for task in TASKS}
    assert len(list((folder / "images").glob("sft-*"))) == 192 / ROWS_OF_A_PICTURE


@pytest.mark.parametrize(("split", "kind"), [("preference", "preference"), ("validation", "test"), ("test", "test")])
def test_rows_that_ask_are_right_by_their_own_facts(folder, split, kind):
    for number, row in enumerate(rows(folder / f"{split}.jsonl")):
        sample = make_sample(kind, row, file=split, row=number + 1)
        assert sample.extra["task"] == TASKS[number % len(TASKS)]
        (right,) = sample.references if kind == "test" else (sample.response,)
        assert is_right(sample.extra, right)
        assert set(ground(right, sample.extra).values.values()) <= {1.0}
        if kind == "preference":
            assert not is_right(sample.extra, sample.rejected_responses[0])


def test_a_larger_world_begins_with_the_smaller_one_and_another_seed_is_another(folder, tmp_path):
    world = World(kind="tasks", prompts=str(PROMPTS), sft=10, preference=7, validation=1, test=3)
    write_world(tmp_path / "same", world, seed=3, image_size=SIZE)
    write_world(tmp_path / "other", world, seed=4, image_size=SIZE)
    for split in ("sft", "preference", "validation", "test"):
        small = rows(tmp_path / "same" / f"{split}.jsonl")
        assert small == rows(folder / f"{split}.jsonl")[: len(small)]
        assert small != rows(tmp_path / "other" / f"{split}.jsonl")
        assert all(
            (tmp_path / "same" / one["image"]).read_bytes() == (folder / one["image"]).read_bytes() for one in small
        )


def test_a_folder_without_a_prompt_is_refused(tmp_path):
    with pytest.raises(TrifacetError, match=r"feedback\.txt"):
        Prompts.read(tmp_path)


def test_readings_of_the_warm_up_are_true():
    from trifacet.demo.warmup import _LESSONS

    told = Counter()
    for index in range(200):
        text, answer = _LESSONS["tasks"].reading(scene_generator(9, "reading", index))
        if text.endswith(" same:"):
            one, other = text.removesuffix("; same:").split(" :")
            assert (one == other) == (answer == " yes.")
            told["same"] += 1
        elif " is " in text:
            at, new = text.rsplit("; ", 1)[1].removesuffix(":").split(" is ")
            assert answer == text.rsplit("; ", 1)[0].replace(at, new) + "."
            told["exchanged"] += 1
        else:
            told["found"] += 1
    assert min(told.values()) > 30


def test_pictures_of_the_warm_up_stand_before_another_post_and_are_answered_truly():
    from trifacet.demo.signs import draw_signed
    from trifacet.demo.warmup import _LESSONS, _told

    asked = Counter()
    for index in range(200):
        scene = draw_signed(scene_generator(9, "warmup", index))
        shown = _LESSONS["tasks"].picture(scene_generator(9, "warmup", index), SIZE)
        assert np.array_equal(np.asarray(shown.image), np.asarray(render_signed(scene, SIZE)))
        what, said = shown.before.removesuffix(":").split()[-1], shown.caption.strip()
        if shown.before.endswith(" :"):
            assert shown.caption == _told(scene)
        elif what in WORDS:
            assert said == (scene.word_of(what) or "none")
        elif what in SHAPES:
            assert said == (scene.things.colour_of(what) or "none")
        elif what == "left":
            assert said == min(scene.things.things, key=lambda thing: thing.x).shape
        else:
            amount = len(scene.words) if what == "words" else len(scene.things.things)
            assert said == ("none", "one", "two", "three")[amount]
        asked["caption" if shown.before.endswith(" :") else what] += 1
    assert set(asked) == {"caption", *WORDS, *SHAPES, "left", "words", "things"}
