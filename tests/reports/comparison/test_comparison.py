"""The page of a comparison and its tables elsewhere: what they say, that nothing escapes, that everyone can read it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from axe import assert_accessible, in_light_and_dark
from fake_comparison import contestants
from fake_run import HOSTILE
from markupsafe import Markup

from trifacet.base.errors import TrifacetError
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evaluation.entries import read_entries
from trifacet.metrics import paper
from trifacet.metrics.target import Reference
from trifacet.metrics.wordnet import packaged_wordnet
from trifacet.reports.comparison.latex import latex, latex_text
from trifacet.reports.comparison.page import render_comparison
from trifacet.reports.comparison.tables import MANY, comparison_markdown, findings, legend, number_text, official_text
from trifacet.statistics.keys import TEXTS
from trifacet.statistics.measures import mean_measure

FAST = ComparisonSettings(draws=200)
NAME = "<b>$x_1$ & 100% | [y](javascript:z) \\input{/etc/passwd}\x1b[31m"


def compared(**changes):
    return compare(contestants(), replace(FAST, **changes))


@pytest.fixture(autouse=True, scope="module")
def _packaged_synonyms():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read
        yield


@pytest.fixture(scope="module")
def hostile():
    """Models, metrics, ids and texts that would like to be more than text."""
    ids = [f"{place} {HOSTILE[place % 3]}" for place in range(8)]
    models = [
        Contestant(
            name,
            NAME,
            {
                (NAME, NAME): mean_measure(
                    NAME, {one: float(place * step) for place, one in enumerate(ids)}, unofficial=NAME
                )
            },
            {one: f"{HOSTILE[place % 3]} {NAME} {name}" for place, one in enumerate(ids)},
        )
        for step, name in enumerate(["base", NAME])
    ]
    samples = {one: Reference(one, [HOSTILE[0], NAME]) for one in ids}
    directed = [replace(m, measures={k: replace(v, better="higher") for k, v in m.measures.items()}) for m in models]
    return compare(directed, FAST, [NAME]), directed, samples


def test_a_run_brings_its_models_and_its_test_set(run_folder):
    entered = read_entries([str(run_folder)])
    assert [model.name for model in entered.contestants] == ["sft", "dpo", "mcm-dpo"]
    assert (TEXTS, "grounding") in entered.contestants[0].measures
    assert (entered.images / next(iter(entered.samples.values())).image).is_file()
    named = read_entries([f"one={run_folder}", f"two={run_folder}"])
    assert [model.name for model in named.contestants][:4] == ["one/sft", "one/dpo", "one/mcm-dpo", "two/sft"]
    with pytest.raises(TrifacetError, match="two models are called"):
        read_entries([str(run_folder), str(run_folder)])


def test_a_hostile_page_holds_only_our_markup(hostile):
    comparison, models, samples = hostile
    page = render_comparison(comparison, models, samples, extra=[Markup("<section>ready</section>")])
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "<section>ready</section>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org", "", page)


def test_hostile_names_command_neither_latex_nor_markdown(hostile):
    comparison = hostile[0]
    table = latex(comparison)
    assert r"\textbackslash{}input\{/etc/passwd\}" in table
    assert "\x1b" not in table
    names = [line for line in table.splitlines() if "100" in line]
    assert names
    for line in names:
        assert not re.search(r"(?<!\\)[#%]|(?<!\\)_|\\input", line.replace(r"\textbackslash{}input", ""))
    for line in comparison_markdown(comparison).splitlines():
        assert "<b>" not in line
        assert not re.search(r"(?<!\\)\]\(javascript", line)
        assert "\x1b" not in line
    rows = [line for line in comparison_markdown(comparison).splitlines() if line.startswith("|")]
    assert "count units" in comparison_markdown(comparison)  # no column without a word on what it counts
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 10) for row in rows)


def test_a_name_in_quotes_needs_no_other_font_encoding():
    assert latex_text('a "b"') == r"a \symbol{34}b\symbol{34}"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("--", "-{}-"), ("a---b", "a-{}-{}-b"), ("?`", "?{}`"), ("!`x", "!{}`x"), ("``x''", "`{}`x'{}'"),
        (",,", ",{},"), ("*name", "{*}name"), ("<<", r"\textless{}\textless{}"), ("1–2", r"1\textendash{}2"),
        ("\u05d0 \u2068x\u2069", "\u05d0 x"),
    ],
)  # fmt: skip
def test_a_name_is_set_as_it_is_written(name, written):
    assert latex_text(name) == written


def test_no_row_of_latex_begins_with_what_its_line_end_would_take():
    """A row begins after ``\\\\``, which takes a star or a bracket that follows as its own."""
    models = [replace(one, name=f"{sign}{one.name}") for one, sign in zip(contestants(), "*[(", strict=True)]
    rows = latex(compare(models, FAST)).split("\\\\")
    assert len(rows) > 6 and not [row for row in rows if re.match(r"\s*[*\[]", row)]


@pytest.mark.parametrize(
    ("name", "others"), [("naïve é ß", ""), ("μ-LLaVA", "μ"), ("模型", "型模"), ("cat 🐈", "🐈"), ("Đ", "Đ")]
)
def test_letters_that_pdflatex_cannot_set_are_named(name, others):
    first, *rest = contestants()
    table = latex(compare([replace(first, name=name), *rest], FAST))
    assert ("XeLaTeX" in table) == bool(others)
    if others:
        assert table.splitlines()[0].startswith("% needs XeLaTeX") and table.splitlines()[0].endswith(
            f"these: {others}"
        )
    plain = latex(compare(contestants(), FAST))
    assert "XeLaTeX" not in plain and plain.isascii()


def test_tables_agree_and_name_test_and_correction():
    comparison = compared()
    value = next(row for row in comparison_markdown(comparison).splitlines() if row.startswith("| good"))
    cell = comparison.cells["good", ("", "accuracy")]
    assert f"{cell.value:.1f} ▲" in value
    assert f"{cell.value:.1f}$^{{+}}$" in latex(comparison)
    for text in (legend(comparison), comparison_markdown(comparison), latex(comparison)):
        assert "Holm-corrected p" in text
        assert "permutation test" in text
    for method, said in (("bh", "Benjamini"), ("none", "uncorrected p")):
        assert said in legend(compared(correction=method))
    page = render_comparison(comparison, contestants(), {})
    assert f"{cell.value:.1f}" in page
    assert "significant" not in page + comparison_markdown(comparison) + latex(comparison)


def test_every_difference_is_counted_once_in_the_line_of_its_pair():
    comparison = compared(pairs="all")
    lines = findings(comparison)
    assert [line.partition(",")[0] for line in lines] == [
        "good against base",
        "twin against base",
        "twin against good",
    ]
    for line, names in zip(lines, (("good", "base"), ("twin", "base"), ("twin", "good")), strict=True):
        of_pair = [one for one in comparison.differences if (one.model, one.other) == names]
        verdicts = [one.verdict for one in of_pair]
        assert all(one.column.title in line for one in of_pair if one.verdict == "worse")
        total, better, worse, *rest = map(int, re.findall(r"\d+", re.sub(r"\(.*\)", "", line)))
        assert (total, better, worse) == (len(verdicts), verdicts.count("better"), verdicts.count("worse"))
        assert sum(rest) == verdicts.count("differs") + verdicts.count("")
        assert line in comparison_markdown(comparison) and line in render_comparison(comparison, contestants(), {})


def test_official_or_not_is_said_of_every_metric():
    first, second, _ = contestants()
    changed = {("", "accuracy"): replace(second.measures["", "accuracy"], unofficial="another tagger")}
    comparison = compare([first, replace(second, measures={**second.measures, **changed})], FAST)
    said = official_text(comparison)
    assert said == ["official values: errors, length", "accuracy is not official: another tagger"]
    page = render_comparison(comparison, contestants(), {})
    assert page.count('<span class="state">not official</span>') == 1
    assert page.count('<span class="state">official</span>') == 2


def _of_metrics(count, **changes):
    """Two models of a benchmark with ``count`` metrics; some values are below 0."""
    return [
        Contestant(
            name,
            name,
            {
                ("colours", f"part_{place}"): mean_measure(
                    f"part_{place}", {str(one): one - 3.0 + step for one in range(8)}, better="higher", **changes
                )
                for place in range(count)
            },
        )
        for step, name in enumerate(["base", "new"])
    ]


@pytest.mark.parametrize("count", [MANY - 1, MANY])
def test_many_metrics_are_the_rows_of_latex_and_markdown(count):
    """As wide as the models are many; every value stands once, in the row and the column of its own."""
    comparison = compare(_of_metrics(count), FAST)
    rows = [line.removesuffix(r" \\").split(" & ") for line in latex(comparison).splitlines() if " & " in line]
    head, values = rows[0], rows[1::2]
    lines = comparison_markdown(comparison).split("\n\n")[1].splitlines()
    written = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    turned = count >= MANY
    assert head[0] == written[0][0] == ("Metric" if turned else "Model")
    for table in (values, written[2:]):
        assert {len(row) for row in table} == {3 if turned else count + 1}
        assert len(table) == (count if turned else 2)
        for row in table:
            cells = dict(zip(head[1:], row[1:], strict=True))
            shown = [cells["new"]] if turned else row[1:] if row[0] == "new" else []
            assert all(cell.startswith("1.5") for cell in shown)
    assert all(len(row) == len(head) for row in rows)
    assert "{[}$-$" in latex(comparison) and "{[}-" not in latex(comparison)
    assert "colours, n = 8 (samples, or groups of them)." in latex(comparison)


def test_metrics_that_are_all_alike_are_named_together():
    named = official_text(compare(_of_metrics(3, unofficial="another judge"), FAST))
    assert named == ["all 3 metrics of colours are not official: another judge"]
    assert "not official: all 3 metrics of colours (another judge)." in latex(
        compare(_of_metrics(3, unofficial="another judge"), FAST)
    )


def test_metrics_without_a_direction_are_not_coloured():
    page = render_comparison(compared(metrics=("length",)), contestants(), {})
    assert "≠" in page
    assert not re.search(r'class="number (right|wrong)"', page)
    coloured = render_comparison(compared(metrics=("accuracy",)), contestants(), {})
    assert re.search(r'class="number right"', coloured)


@pytest.mark.parametrize(
    ("value", "places", "signed", "text"),
    [
        (1.25, 1, True, "+1.2"),
        (-0.04, 1, True, "0.0"),
        (float("nan"), 1, False, "–"),
        (None, 2, False, "–"),
        (3, 2, False, "3.00"),
    ],
)
def test_numbers(value, places, signed, text):
    assert number_text(value, places, signed=signed) == text


def test_samples_that_differ_most_are_shown_with_picture_and_texts(run_folder):
    entered = read_entries([str(run_folder)], profiles=["paper"])
    comparison = compare(entered.contestants, replace(FAST, metrics=("cider",)), entered.notes)
    page = render_comparison(comparison, entered.contestants, entered.samples, images=entered.images)
    shown = re.findall(r'<h3 id="example-\d+"><bdi>(.*?)</bdi>', page)
    assert 1 <= len(shown) <= 3
    apart = {
        one: max(
            abs(comparison.measures[model, ("paper", "cider")].of_units()[place]
                - comparison.measures["sft", ("paper", "cider")].of_units()[place])
            for model in ("dpo", "mcm-dpo")
        )
        for place, one in enumerate(comparison.measures["sft", ("paper", "cider")].units)
    }  # fmt: skip
    assert apart[shown[0]] == pytest.approx(max(apart.values()))
    assert page.count('<img src="data:image') == len(shown)
    without = render_comparison(comparison, entered.contestants, entered.samples)
    assert "<img" not in without


def prefers_the_longer(messages):
    text = messages[-1]["content"]
    text = text if isinstance(text, str) else text[-1]["text"]
    first, second = (json.loads(line.split(": ", 1)[1]) for line in text.splitlines() if line.startswith("Text "))
    return json.dumps({"better": "A" if len(first) > len(second) else "B" if len(second) > len(first) else "tie"})


@pytest.fixture(scope="module")
def page(run_folder, tmp_path_factory):
    """The whole page by the command: a run, its pictures, a judge."""
    from cli_compare import run

    folder = tmp_path_factory.mktemp("page")
    with ScriptedEndpoint(prefers_the_longer) as endpoint:
        judge = folder / "judge.yaml"
        judge.write_text(f"base_url: {endpoint.base_url}\nmodel: scripted\n", encoding="utf-8")
        some = [part for metric in ("paper/cider", "grounding", "length") for part in ("--metrics", metric)]
        options = ["--html", folder / "page.html", "--judge", judge, "--draws", 200, "--pairs", "all"]
        result = run(run_folder, *options, *some)
    assert result.exit_code == 0, result.output
    return folder / "page.html"


@in_light_and_dark
def test_the_page_has_no_violation_and_fits_its_window(page, dark):
    assert_accessible(page, dark=dark)
    assert 'id="judged"' in page.read_text(encoding="utf-8")
