"""Items of benchmarks on a comparison's page: which are picked, what is shown of them, and that nothing escapes."""

from __future__ import annotations

import json
import re

import pytest
from axe import assert_accessible, in_light_and_dark
from cli_compare import run
from fake_run import HOSTILE
from PIL import Image

from trifacet.benchmarks.benchmark import Answered, Benchmark, Item, Judge, Outcome, Result
from trifacet.benchmarks.known import amber, chair
from trifacet.benchmarks.objects.amber_counts import WordList
from trifacet.benchmarks.objects.coco_objects import read_synonyms
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.reports.comparison.items import MOST, PER_VALUE, sections
from trifacet.reports.comparison.page import render_comparison
from trifacet.statistics.measures import grouped_measure, mean_measure, ratio

FAST = ComparisonSettings(draws=100, common=True)


def right_or_wrong(answered, options=None):
    values = {one.item.id: float(one.answer == one.item.extra["label"]) for one in answered}
    return Outcome([mean_measure("accuracy", values)], of_items={name: {"correct": v} for name, v in values.items()})


def benchmark(score=right_or_wrong, name="toy", **others):
    return Benchmark(
        name, name, "", "", [], "", lambda folder: [], score, expected=lambda item: item.extra["label"], **others
    )


def yes_no(count, image=None):
    return [Item(f"q{k:02d}", f"Is there a kite {k}?", image, {"label": "yes"}) for k in range(count)]


def contestant(name, of, items, answers, images=None, verdicts=None):
    verdicts = verdicts or {}
    answered = [Answered(item, answers[item.id], *verdicts.get(item.id, ())) for item in items]
    outcome = of.score(answered, None)
    measures = {(of.name, one.name): one for one in outcome.measures}
    return Contestant(name, f"{name}/", measures, results=[Result(of, answered, outcome, images)])


def shown(models, images=None):
    return sections(compare(models, FAST), models, images)


def test_the_first_items_on_which_one_is_right_and_another_wrong_are_picked():
    items = yes_no(30)
    wrong = {"a": {"q03", "q05"}, "b": {"q03", *(f"q{k:02d}" for k in range(7, 29))}, "c": {"q03", "q05"}}
    models = [
        contestant(name, benchmark(), items, {one.id: "no" if one.id in missed else "yes" for one in items})
        for name, missed in wrong.items()
    ]
    (section,) = shown(models)
    differing = ["q05", *(f"q{k:02d}" for k in range(7, 29))]  # on q03 all are wrong alike
    assert [item.id for item in section.items] == differing[:PER_VALUE]
    assert section.said == [
        f"On {len(differing)} of 30 items one model is right and another wrong; shown are the first {PER_VALUE} in the "
        "benchmark's order."
    ]
    first = section.items[0]
    assert [(one.model, one.text, one.mark) for one in first.answers] == [
        ("a", "no", "wrong"), ("b", "yes", "right"), ("c", "no", "wrong"),
    ]  # fmt: skip
    assert (first.expected, first.picture) == ("yes", None)
    assert shown(models) == [section]
    (alike,) = shown([models[0], models[2]])
    assert (alike.items, alike.said) == ([], ["On 0 of 30 items one model is right and another wrong."])
    assert shown(models[:1]) == []


def test_a_measure_of_a_benchmark_of_ones_own_picks_without_a_word_more():
    """The values of an item decide in the order of the measures; a number that has no better direction does not."""

    def score(answered, options=None):
        lengths = {one.item.id: float(len(one.answer)) for one in answered}
        rated = {one.item.id: float(one.verdict["rating"]) for one in answered if one.verdict}
        return Outcome([mean_measure("length", lengths, better="neither"), mean_measure("rating", rated)])

    items = yes_no(4)
    of = benchmark(score, judge=Judge("mmhal", lambda item, answer: None, json.loads))
    ratings = {"a": (1, 5, 3, None), "b": (2, 1, 3, 4)}
    models = [
        contestant(
            name, of, items, dict.fromkeys(["q00", "q01", "q02", "q03"], name * 9),
            verdicts={
                f"q{place:02d}": (None, "unparsed") if rating is None else ({"rating": rating}, None)
                for place, rating in enumerate(given)
            },
        )
        for name, given in ratings.items()
    ]  # fmt: skip
    (section,) = shown(models)
    assert [item.id for item in section.items] == ["q01", "q00"]
    assert section.said[1].endswith("without a value in one: 1.")
    assert [one.values for one in section.items[0].answers] == [
        [("rating", "5"), ("length", "9")], [("rating", "1"), ("length", "9")],
    ]  # fmt: skip
    assert section.items[0].answers[0].judged == "rating 5"


def test_where_no_single_item_has_a_value_none_is_shown():
    def score(answered, options=None):
        units = [f"picture {place % 3}" for place, _ in enumerate(answered)]
        return Outcome([grouped_measure("score", units, [[len(one.answer), 1] for one in answered], ratio)])

    items = yes_no(6)
    models = [contestant(name, benchmark(score), items, dict.fromkeys((i.id for i in items), name)) for name in "ab"]
    (section,) = shown(models)
    assert section.items == []
    assert "none is shown" in section.said[0]
    assert section.said[0] in render_comparison(compare(models, FAST), models, {})


def test_items_of_other_questions_or_without_a_value_are_left_out_and_counted():
    items = yes_no(5)
    others = [*items[:2], Item("q02", "Another question?", None, {"label": "yes"}), items[3]]
    one = contestant("a", benchmark(), items, dict.fromkeys((item.id for item in items), "yes"))
    other = contestant("b", benchmark(), others, dict.fromkeys((item.id for item in items), "no"))
    (section,) = shown([one, other])
    assert [item.id for item in section.items] == ["q00", "q01", "q03"]
    assert section.said[1].endswith("without a value in one: 2.")


def test_hallucinated_objects_pick_captions_and_descriptions(tmp_path):
    (tmp_path / "synonyms.txt").write_text("dog, puppy\ncat\nkite\n")
    table = read_synonyms(tmp_path / "synonyms.txt")
    captions = [Item(str(k), chair.QUESTION, None, {"objects": ("dog",), "synonyms": table}) for k in range(3)]
    texts = {"a": ["a dog", "a dog and a cat", "a kite"], "b": ["a dog", "a cat, a kite, a cat", "a dog"]}
    models = [
        contestant(name, chair.BENCHMARK, captions, {str(k): text for k, text in enumerate(said)})
        for name, said in texts.items()
    ]
    (section,) = shown(models)
    assert [item.id for item in section.items] == ["1", "2"]  # two objects more, then one
    assert section.items[0].expected == "dog"
    assert [dict(one.values)["hallucinated"] for one in section.items[0].answers] == ["1", "3"]

    words = WordList(("dog",), (("puppy",),))
    tools = amber.Options(tagger="words", similarity="equal")
    known = {"vocabulary": frozenset(["dog", "puppy", "cat"]), "ignored": frozenset()}
    described = [Item("1", "Describe.", "1.jpg", {"truth_words": words, "tempting_words": words, **known})]
    asked = Item("2", "Is there a cat?", "1.jpg", {"label": "no", "parts": ("existence",)})
    given = [Answered(described[0], "dog cat"), Answered(asked, "No")]
    assert amber.score(given, tools).of_items == {"1": {"hallucinated": 1.0}, "2": {"correct": 1.0}}
    assert [amber.expected(one.item) for one in given] == ["dog", "no"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Ids, questions, labels, answers, verdicts and picture names that would like to be more."""
    folder = tmp_path_factory.mktemp("hostile")
    Image.new("RGB", (8, 8), "red").save(folder / "secret.png")
    (folder / "in").mkdir()
    Image.new("RGB", (8, 8), "blue").save(folder / "in" / "good.png")
    names = ["good.png", "../secret.png", str(folder / "secret.png"), "x" * 5000, "a\0b", "\x1b[31m", None]
    items = [
        Item(f"{HOSTILE[k % 3]} {k}", f"{HOSTILE[k % 3]} \x1b[31m {{{{ 7 * 7 }}}}", name, {"label": HOSTILE[k % 3]})
        for k, name in enumerate(names)
    ]
    name = f"toy {HOSTILE[0]}"
    of = benchmark(name=name, judge=Judge("mmhal", lambda item, answer: None, json.loads))
    verdicts = {item.id: ({HOSTILE[0]: [HOSTILE[1]] * 999}, None) for item in items}
    right = {item.id: item.extra["label"] for item in items}
    wrong = {item.id: HOSTILE[2] * 5000 + "!" for item in items}
    return [
        contestant(HOSTILE[0], of, items, right, folder / "in", verdicts),
        contestant(HOSTILE[1], of, items, wrong, folder / "in", {items[0].id: (None, HOSTILE[2])}),
    ]


def test_nothing_hostile_is_markup_and_pictures_stay_in_their_folder(hostile):
    page = render_comparison(compare(hostile, FAST), hostile, {})
    assert len(re.findall(r'<h4 id="item-1-\d+">', page)) == PER_VALUE
    assert re.findall(r"<img ([a-z]+)=\"(.{10})", page) == [("src", "data:image")]
    assert page.count("The image cannot be shown") == 5
    for sign in ("<script", "<svg onload", "\x1b", "\0", "49</bdi>"):
        assert sign not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert len(page) < 200_000  # answers and verdicts are cut
    assert "counted right" in page


def test_a_page_holds_no_more_than_it_says():
    def score(answered, options=None):
        return Outcome(
            right_or_wrong(answered).measures,
            of_items={one.item.id: {f"kind {place}": float(len(one.answer))} for place, one in enumerate(answered)},
        )

    items = yes_no(40)
    models = [
        contestant(name, benchmark(score), items, {item.id: text for item in items})
        for name, text in (("a", "yes"), ("b", "no"))
    ]
    (section,) = shown(models)
    assert len(section.items) == MOST


@pytest.fixture(scope="module")
def page(tmp_path_factory, photos):
    """POPE by the command: two answer files, pictures where the result says they are."""
    from typer.testing import CliRunner

    from trifacet.cli.main import app

    folder = tmp_path_factory.mktemp("pope")
    rows = [
        {"question_id": k, "image": f"{k % 4}.png", "text": f"Is there a kite {k}?", "label": ("yes", "no")[k % 2]}
        for k in range(1, 13)
    ]
    (folder / "data").mkdir()
    for part in ("random", "popular", "adversarial"):
        (folder / "data" / f"coco_pope_{part}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, says in (("one", lambda k: "Yes, there is."), ("two", lambda k: "No." if k % 3 else "")):
        answers = folder / f"{name}.jsonl"
        answers.write_text(
            "".join(
                json.dumps({"id": f"{part}/{row['question_id']}", "text": says(row["question_id"])}) + "\n"
                for part in ("random", "popular", "adversarial")
                for row in rows
            )
        )
        given = ["--data", folder / "data", "--images", photos, "--answers", answers, "--output", folder / name]
        done = CliRunner().invoke(app, [str(part) for part in ("benchmarks", "score", "pope", *given)])
        assert done.exit_code == 0, done.output
    done = run(folder / "one", folder / "two", "--html", folder / "page.html", "--draws", 100)
    assert done.exit_code == 0, done.output
    return folder / "page.html"


def test_the_command_shows_items_with_their_pictures(page):
    text = page.read_text(encoding="utf-8")
    ids = re.findall(r'<h4 id="item-1-\d+"><bdi>(.*?)</bdi>', text)
    assert ids == ["random/1", "random/2", "random/4", "random/5", "random/7", "random/8"]
    assert text.count('<img src="data:image') == PER_VALUE
    assert text.count("counted right") == text.count("counted wrong") == PER_VALUE
    assert "Is there a kite 1?" in text and "On 24 of 36 items" in text


@in_light_and_dark
def test_the_items_have_no_violation_and_fit_their_window(page, dark):
    assert_accessible(page, dark=dark)
