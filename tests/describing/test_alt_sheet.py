"""The queue as a spreadsheet: no formula runs, what goes out comes back, and who came second is told."""

import csv
import io
from contextlib import closing

import pytest
from suggest_parts import place

from trifacet.base.errors import DataError
from trifacet.describing.queue import Queue
from trifacet.describing.sheet import COLUMNS, sheet, take_in
from trifacet.describing.suggestion import Proposal

HOSTILE = [
    '=HYPERLINK("http://x","y")',
    "+1",
    "-2 degrees",
    "@SUM(A1)",
    "\t=1",
    "'=1",
    "＝1",
    "plain",
    'a "b", c\nd',
    "",
]


@pytest.fixture
def queue(tmp_path):
    with closing(Queue(tmp_path / "q.sqlite")) as made:
        made.put(
            [
                Proposal("i.html", "d", place(f"img{n}", around={"caption": text}), f"p{n}", "c", text)
                for n, text in enumerate(HOSTILE)
            ],
            "m",
        )
        yield made


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def write(path, rows, mark=","):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, delimiter=mark)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text("\ufeff" + buffer.getvalue(), encoding="utf-8")


def test_no_cell_begins_like_a_formula(queue):
    text = sheet(queue.suggestions())
    for row in rows_of(text):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in row.values())
    assert text.startswith("\ufeffid,event,")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_goes_out_comes_back(queue, tmp_path, mark):
    before = {one.id: one.text for one in queue.suggestions()}
    rows = rows_of(sheet(queue.suggestions()))
    for row in rows:
        row["decision"] = "edit" if row["text"] else "empty"
    write(tmp_path / "back.csv", rows, mark)
    problems = []
    counts = take_in(tmp_path / "back.csv", queue, "Ada", problems.append)
    assert problems == [] and counts == {"edit": len(HOSTILE) - 1, "empty": 1}
    assert {one.id: one.text for one in queue.suggestions()} == {name: text.strip() for name, text in before.items()}
    assert {(one.state, one.who) for one in queue.suggestions()} == {("edited", "Ada")}


def test_rows_that_can_not_be_entered_are_told_and_the_others_are(queue, tmp_path):
    rows = rows_of(sheet(queue.suggestions()))
    plain = queue.get(rows[7]["id"])
    queue.decide(plain.id, "refused", None, "Ben", plain.event)
    for row, decision in zip(
        rows, ["accept", "refuse", "later", "maybe", "edit", "accept", "", "accept"], strict=False
    ):
        row["decision"] = decision
    rows[4]["text"] = " "
    rows[5]["event"] = "1.00E+03"
    write(tmp_path / "back.csv", rows)
    problems = []
    counts = take_in(tmp_path / "back.csv", queue, "Ada", problems.append)
    assert counts == {"accept": 1, "refuse": 1}
    told = [str(problem) for problem in problems]
    assert ["decision" in told[0], "text" in told[1], "event" in told[2], "by Ben" in told[3]] == [True] * 4
    assert len(told) == 4 and all("back.csv, row " in one for one in told)


@pytest.mark.parametrize("decision", ["accept", ""])
def test_what_a_person_wrote_is_not_dropped_for_the_models_text(queue, tmp_path, decision):
    rows = rows_of(sheet(queue.suggestions()))
    rows[7] |= {"text": "A dog at the gate", "decision": decision}
    rows[6] |= {"decision": "accept"}
    write(tmp_path / "back.csv", rows)
    problems = []
    assert take_in(tmp_path / "back.csv", queue, "Ada", problems.append) == {"accept": 1}
    assert len(problems) == 1 and "field 'text': is another one than was suggested; decide edit" in str(problems[0])
    assert queue.get(rows[7]["id"]).state == "suggested"
    queue.decide(rows[7]["id"], "edited", "A dog", "Ada", int(rows[7]["event"]))
    rows = rows_of(sheet(queue.suggestions(states=["edited"])))
    rows[0]["decision"] = "accept"  # of what was edited before: the model's text would come back
    write(tmp_path / "back.csv", rows)
    take_in(tmp_path / "back.csv", queue, "Ben", problems.append)
    assert len(problems) == 2 and queue.get(rows[0]["id"]).text == "A dog"


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe\x00", b'id,event,text,decision\n"x'])
def test_another_file_is_refused(queue, tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.csv"):
        take_in(path, queue, "Ada", lambda problem: None)
