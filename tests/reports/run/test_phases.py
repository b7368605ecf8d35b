"""A stage with a curriculum: its phases are a table in the report, and part its curves."""

import json
import re

from fake_run import HOSTILE, make_run, write_lines

from trifacet.evaluation.run_folder import read_run
from trifacet.reports.plots import Line, line_chart
from trifacet.reports.run.phases import borders, phases
from trifacet.reports.run.report import render

ROW = {
    "phase": 1, "samples": 1200, "easiest": 0.25, "hardest": 1.5, "epochs": 1.0, "first_step": 1, "steps": 50,
    "reference": "start", "optimizer": "new", "schedule": "begins",
}  # fmt: skip
DONE = {
    "difficulty": "given",
    "column": HOSTILE[0],
    "order": "easy-to-hard",
    "mixed": True,
    "phases": [ROW, {**ROW, "phase": 2, "easiest": 1.5, "hardest": None, "reference": HOSTILE[1]}],
}


def test_a_report_shows_the_phases(tmp_path):
    folder = make_run(tmp_path / "run", posts=1, models=("dpo",), scored=False)
    home = folder / "models" / "dpo"
    (home / "done.json").write_text(json.dumps({**json.loads((home / "done.json").read_text()), "curriculum": DONE}))
    rows = [json.loads(line) for line in (home / "log.jsonl").read_text().splitlines()]
    write_lines(home / "log.jsonl", [{**row, "phase": 1 + (row["step"] > 50)} for row in rows])
    page = render(read_run(folder))
    table = page[page.index("The phases") : page.index("</table>", page.index("The phases"))]
    cells = re.findall(r"<bdi>(.*?)</bdi>", table)
    assert "each phase has the samples of those before it" in cells[0]
    assert cells[1:8] == ["1,200", "0.25 to 1.5", "1", "50", "start", "new", "begins"]
    assert cells[9] == "1.5 to –"
    assert "<script>" not in table
    assert "<img" not in table
    assert page.count("150 steps in 2 phases") >= 5  # charts


def test_borders_are_dotted_lines():
    line = Line("loss", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], 0)
    plain, marked = (
        line_chart([line], alternative="", chart_id="one", borders=borders) for borders in ((), (1.5, 2.5))
    )
    dashes = "stroke-dasharray"
    assert marked.count(dashes) == plain.count(dashes) + 2


def test_what_is_no_curriculum_has_no_table():
    for done in ({}, {"curriculum": None}, {"curriculum": []}, {"curriculum": {"phases": "many"}}):
        assert phases(done) is None


def test_borders_lie_between_the_steps_of_two_phases():
    log = [{"step": step, "phase": phase} for step, phase in ((1, 1), (10, 1), (20, 2), (30, 3))]
    assert borders(log) == [15.0, 25.0]
    assert borders([{"step": 1}, {"step": 2, "phase": "2"}]) == []
