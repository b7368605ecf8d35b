"""The index over studies, and the list of those that come with the package."""

import json
import shutil

import pytest
from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup
from small_studies import study_values, write_study

from trifacet.base.errors import TrifacetError
from trifacet.reports.study.index import index_markdown, index_page
from trifacet.studies.index import index_document, write_index
from trifacet.studies.settings import known_studies, load_study
from trifacet.studies.study import begin_study


@pytest.fixture
def folder(small, tmp_path):
    """A finished study, one that is only begun, and one whose document is damaged."""
    loaded, _, _ = small
    for name in ("finished", "damaged"):
        shutil.copytree(loaded.folder, tmp_path / "studies" / name)
    (tmp_path / "studies/damaged/results.json").write_text('{"study": "damaged"', encoding="utf-8")
    values = study_values(tmp_path / "studies/begun", "nowhere", "nothing", {"name": "begun", "budgets": {"small": {}}})
    begin_study(load_study(str(write_study(tmp_path, values))))
    return tmp_path / "studies"


def test_the_index_has_every_study_and_every_claim_with_its_verdict(folder):
    page, document = write_index(folder)
    begun, finished = document["studies"]
    assert (begun["study"], begun["budget"], begun["cells"], begun["seeds"]) == ("begun", "small", 3, 2)
    assert (begun["state"], begun["link"], begun["claims"]) == ("begun", "", [])
    assert finished["link"] == "finished/study.html" and (folder / finished["link"]).exists()
    assert document["verdicts"] == {"cannot be told": len(finished["claims"])}
    (problem,) = document["problems"]
    assert "damaged: cannot be read" in problem
    for text in (page.read_text(encoding="utf-8"), (folder / "index.md").read_text(encoding="utf-8")):
        assert "finished/study.html" in text and "cannot be told" in text and "begun" in text


def document(word=lambda text: text):
    claim = {"statement": word("full > dpo in cider"), "verdict": word("holds"), "text": word("It is."),
             "source": word("table 2"), "why": word("so")}  # fmt: skip
    row = {
        "study": word("main"), "title": word("Which?"), "budget": word("small"), "folder": "main/small", "cells": 3,
        "seeds": 5, "state": word("finished"), "link": f"{word('main')}/study.html", "claims": [claim],
        "people": [{"cell": word("full"), "other": word("dpo"), "verdict": word("cannot be told"), "why": word("so")}],
        "verdicts": {"holds": 1, "cannot be told": 1}, "seconds": 90.0,
    }  # fmt: skip
    return {"folder": word("runs"), "studies": [row, {**row, "study": word("other"), "link": ""}],
            "verdicts": {"holds": 2, "cannot be told": 2}, "problems": [word("one is damaged")]}  # fmt: skip


@in_light_and_dark
def test_axe_finds_nothing_in_the_index(tmp_path, dark):
    page = tmp_path / "index.html"
    page.write_text(index_page(document()), encoding="utf-8")
    assert_accessible(page, dark=dark)


def test_hostile_texts_command_nothing():
    made = document(word=lambda text: f"{text} {HOSTILE}")
    only_our_markup(index_page(made), "index.html.jinja")
    assert "<script>" not in index_markdown(made)


def test_studies_are_listed_and_the_index_is_a_command_of_its_own(folder, trifacet):
    code, told, _ = trifacet("study", "--json", "-")
    listed = {one["study"]: one for one in json.loads(told)["studies"]}
    assert code == 0 and listed.keys() == known_studies().keys()
    assert listed["main"]["cells"] == 7 and listed["main"]["budgets"][:2] == ["small", "paper"]
    code, told, _ = trifacet("study", "--index", folder)
    assert code == 0 and str(folder / "index.html") in told and "cannot be told" in told
    for words, said in (
        (("components", "--index", folder), "leave the study out"),
        (("--plan",), "which study\\?"),
        (("--index", folder / "none"), "no such folder"),
        (("--index", folder, "--plan"), "commands of their own"),
    ):
        code, _, errors = trifacet("study", *words)
        assert code == 2 and said.replace("\\", "") in errors


def test_a_folder_without_studies_is_refused(tmp_path):
    with pytest.raises(TrifacetError, match="holds no study; trifacet study NAME makes one"):
        index_document(tmp_path)
