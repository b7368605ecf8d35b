"""Rows that were appended are there after a kill; what is torn or not as it was written is no row."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.base.journal import Journal

ROWS = [{"id": f"row {number}", "text": "Grüße\u2028 \\ \n" * number, "list": [number, None]} for number in range(6)]


def test_appended_rows_are_read_again_in_their_order(tmp_path):
    file = tmp_path / "deep" / "rows.jsonl"
    journal = Journal(file)
    assert journal.rows == []
    journal.append(ROWS[:2])
    journal.append(ROWS[2:])
    assert Journal(file).rows == ROWS


@pytest.mark.parametrize("cut", [1, 2, 10, 40])
def test_a_torn_line_is_no_row_and_what_follows_begins_a_line_of_its_own(tmp_path, cut):
    file = tmp_path / "rows.jsonl"
    Journal(file).append(ROWS[:3])
    file.write_bytes(file.read_bytes()[:-cut])
    journal = Journal(file)
    assert journal.rows == ROWS[: 2 if cut > 1 else 3]  # without its line end alone it is whole
    journal.append([ROWS[4]])
    assert Journal(file).rows == [*journal.rows, ROWS[4]]


def test_a_line_that_is_not_as_it_was_written_is_no_row(tmp_path):
    file = tmp_path / "rows.jsonl"
    Journal(file).append(ROWS)
    lines = file.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"row 1", b"row 7")  # JSON still, under another seal
    lines[2] = b'{"id": "row 2"}'  # without a seal
    lines[3] = b"\xff\xfe" + lines[3]
    lines[4] = b"[" * 100_000
    file.write_bytes(b"\n".join(lines))
    assert Journal(file).rows == [ROWS[0], ROWS[5]]
    assert len(file.read_bytes().splitlines()) == 2, "what is no row stays in no file"


def test_finish_leaves_the_bytes_that_a_process_without_a_stop_leaves(tmp_path):
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    Journal(whole).finish(ROWS)
    Journal(stopped).append([ROWS[3], ROWS[1]])
    with stopped.open("ab") as file:
        file.write(b'{"id": "row 5", "te')
    again = Journal(stopped)
    again.append(ROWS[:1])
    again.finish(ROWS)
    assert stopped.read_bytes() == whole.read_bytes()
    assert Journal(stopped).rows == ROWS
    assert all("seal" in json.loads(line) for line in whole.read_text(encoding="utf-8").split("\n")[:-1])


def test_rows_without_a_stop_are_read_without_writing(tmp_path):
    file = tmp_path / "rows.jsonl"
    Journal(file).finish(ROWS)
    before = file.stat().st_ino
    Journal(file)
    assert file.stat().st_ino == before


def test_a_place_that_cannot_be_read_or_written_is_said_in_a_line(tmp_path):
    (tmp_path / "rows.jsonl").mkdir()
    with pytest.raises(TrifacetError, match=r"cannot continue .*rows.jsonl"):
        Journal(tmp_path / "rows.jsonl")
    journal = Journal(tmp_path / "other.jsonl")
    (tmp_path / "other.jsonl").mkdir()
    with pytest.raises(TrifacetError, match=r"cannot write .*other.jsonl"):
        journal.append(ROWS)


WRITER = """
import sys
from pathlib import Path
from trifacet.base.journal import Journal

journal = Journal(Path(sys.argv[1]))
for number in range(len(journal.rows), 100_000):
    journal.append([{"number": number, "text": "x" * (number % 300)}])
    print(number, flush=True)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.endurance)])
def test_a_row_that_append_has_returned_from_is_there_after_a_kill(tmp_path, kills):
    file = tmp_path / "rows.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = -1
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(5 + 7 * number % 23):
            told = int(process.stdout.readline())
        time.sleep(0.001 * (number % 5))
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        assert process.wait() == -signal.SIGKILL
        told = int(rest[-1]) if rest else told
        rows = Journal(file).rows
        assert [row["number"] for row in rows] == list(range(len(rows)))
        assert len(rows) in (told + 1, told + 2)  # the last may not have been told
