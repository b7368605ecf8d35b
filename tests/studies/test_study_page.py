"""A study's page and tables: every number and verdict of the document, and no foothold for what its file says."""

import html
import re

import numpy as np
import pytest
from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup

from trifacet.reports.study.page import study_latex, study_markdown, study_page, value_text
from trifacet.studies.document import told
from trifacet.studies.outcomes import Number, Outcomes
from trifacet.studies.statements import read_statement
from trifacet.studies.verdicts import judge

SEEDS, CELLS = (1, 2, 3, 4, 5), {"full": 30.0, "dpo": 20.0, "alike": 20.0}


def outcomes(cells=CELLS, spread=1.0, lost=()):
    """Made-up numbers: each cell's true value, and the same seeds' luck for all but a little."""
    rng, found = np.random.default_rng(5), Outcomes()
    luck = {seed: rng.normal(0, 5) for seed in SEEDS}
    for cell, value in cells.items():
        for seed in SEEDS:
            samples = value + luck[seed] + rng.normal(0, spread, 40)
            if (cell, seed) not in lost:
                found.numbers[cell, seed] = {"cider": Number(samples.mean(), tuple(map(str, range(40))), samples)}
    return found


def judged(*claims, **made):
    statements = [read_statement(claim, list(CELLS), ["cider"]) for claim in claims]
    return judge(statements, outcomes(**made), SEEDS, crossed=False)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("full > dpo in cider", "holds"),
        ("dpo < full in cider by 5", "holds"),
        ("full > dpo, alike in cider", "holds"),
        ("dpo > full in cider", "does not hold"),
        ("full > dpo in cider by 20", "does not hold"),
        ("full > dpo, alike in cider by 9.95", "cannot be told"),
        ("full > alike, dpo in cider by 25", "does not hold"),
        ("dpo = alike in cider by 2", "holds"),
        ("dpo = full in cider by 2", "does not hold"),
        ("alike > dpo in cider", "cannot be told"),
    ],
)
def test_verdicts_where_the_truth_is_known(claim, verdict):
    (one,) = judged(claim)
    assert one.verdict == verdict
    assert (one.p <= 0.05) == (verdict != "cannot be told")


def test_what_cannot_be_told_says_what_could_have_been_found():
    (one,) = judged("alike > dpo in cider", spread=10.0)
    assert re.fullmatch(r"a difference of [\d.]+ is smaller than what this study could have found \([\d.]+\)", one.why)


def test_seeds_that_are_missing_are_told_and_one_alone_tells_nothing():
    (fewer,) = judged("full > dpo in cider", lost={("dpo", 3)})
    assert fewer.seeds == (1, 2, 4, 5) and fewer.why == "4 of 5 seeds"
    (one,) = judged("full > dpo in cider", lost={("dpo", seed) for seed in SEEDS[1:]})
    assert one.verdict == "cannot be told" and "only one seed" in one.why
    (none,) = judged("full > dpo in cider", lost={("dpo", seed) for seed in SEEDS})
    assert none.verdict == "cannot be told" and "no seed has" in none.why and none.parts[0].estimate is None


def test_cells_that_never_differ_give_no_verdict():
    made = outcomes()
    made.numbers |= {("alike", seed): made.numbers["dpo", seed] for seed in SEEDS}
    statements = [
        read_statement(claim, list(CELLS), ["cider"]) for claim in ("alike > dpo in cider", "full > dpo in cider")
    ]
    same, other = judge(statements, made, SEEDS, crossed=False)
    assert (same.verdict, same.p, same.smallest) == ("cannot be told", None, None)
    assert "the same in every seed and sample" in same.why
    assert other.p == other.p_corrected  # one claim is tested


def test_claims_share_one_chance_of_error_by_holm():
    one, _, third = judged("full > dpo in cider", "alike > dpo in cider", "dpo < full in cider by 1")
    assert one.p_corrected == pytest.approx(min(1.0, 3 * one.p)) or third.p_corrected == pytest.approx(3 * third.p)
    assert one.smallest > judged("full > dpo in cider")[0].smallest


def document(word=lambda text: text):
    made, names = outcomes(), list(CELLS)
    claims = judge([read_statement("full > dpo in cider", names, ["cider"])], made, SEEDS, crossed=False)
    (claim,) = claims
    mean = {name: told(made.mean(name, "cider", SEEDS, crossed=False)) for name in names}
    apart = {name: told(made.difference(name, "full", "cider", SEEDS, crossed=False)) for name in names[1:]}
    return {
        "study": word("components"), "title": word("Which terms?"), "budget": word("small"), "file": word("x.yaml"),
        "seeds": list(SEEDS), "split": "test", "measures": [word("cider")], "level": 0.95,
        "design": "every seed has samples of its own", "against": word("full"),
        "cells": [
            {"cell": word(name), "degenerate": {"3": word("says nothing")} if name == "dpo" else {},
             "measures": {word("cider"): {**mean[name], "values": {}, "paper": 207.98 if name == "full" else None}}}
            for name in names
        ],
        "differences": [
            {"cell": word(name), "measure": word("cider"), **one, "paper": None} for name, one in apart.items()
        ],
        "claims": [{
            "statement": word(claim.statement.text), "text": word("The paper says so."), "source": word("table 2"),
            "measure": word("cider"), "margin": 0.0, "verdict": claim.verdict, "why": word("so"), "p": claim.p,
            "p_corrected": claim.p_corrected, "smallest": claim.smallest, "seeds": list(SEEDS),
            "parts": [{"cell": word("full"), "other": word("dpo"), **told(claim.parts[0].estimate)}],
        }],
        "people": {"seed": 1, "pairs": [
            {"cell": word("full"), "other": word("dpo"), "verdict": "holds", "why": "",
             "command": word("trifacet review"), "votes": 60,
             "judges": 3, "judged": 20, "samples": 20, "p_corrected": 0.01, "win": {"count": 15},
             "tie": {"count": 2}, "lose": {"count": 3},
             "agreement": {"alpha_ordinal": {"value": 0.71, "low": 0.5, "high": 0.9}}},
            {"cell": word("full"), "other": word("alike"), "verdict": "cannot be told", "why": word("waits for people"),
             "command": word("trifacet review"), "votes": 0, "p_corrected": None},
        ]},
        "asked_since": word("2026-01-01"), "paper": {"source": word("a paper"), "note": word("a note")},
        "plan": {"runs": 9, "works": {"sft": {"alone": 9, "shared": 1}}, "seconds": {"alone": 90.0, "shared": 30.0},
                 "gpu_hours": {"alone": 9.0, "shared": 3.0, "stated": {word("sft"): 1.0},
                               "not_stated": [word("texts")]}},
        "failed": {word("cells/x/seed-1"): word("gone")}, "problems": [word("a problem")],
    }  # fmt: skip


@in_light_and_dark
def test_axe_finds_nothing_and_the_page_fits_its_window(tmp_path, dark):
    page = tmp_path / "study.html"
    page.write_text(study_page(document()), encoding="utf-8")
    assert_accessible(page, dark=dark)


def test_every_output_has_the_numbers_and_the_verdict():
    made = document()
    told_by = study_page(made), study_markdown(made), study_latex(made)
    for text in told_by:
        plain = html.unescape(re.sub(r"<[^>]+>|\\", "", text)).replace("{[}", "[").replace("$-$", "-")
        assert value_text(made["cells"][0]["measures"]["cider"]) in plain
        assert "holds" in plain and "207.98" in plain and "full" in plain
    assert all("2026-01-01" in text for text in told_by)


def test_a_page_of_hostile_texts_is_ours():
    page = study_page(document(word=lambda text: f"{text} {HOSTILE}"))
    only_our_markup(page, "study.html.jinja")
    assert page.count("&lt;hostile-one") > 20


def test_tables_of_hostile_texts_command_neither_markdown_nor_latex():
    made = document(word=lambda text: f"{text} <b> | \\input{{x}} $1")
    assert "<b>" not in study_markdown(made) and "\\input" not in study_latex(made)
    rows = [line for line in study_markdown(made).splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert widths == {4, 7}  # of the table of cells, of those of claims and people
