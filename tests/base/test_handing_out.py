"""Parts handed out to processes: each is done once, and whatever a worker raises or dies of is told here."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.workers import ALONE, Workers, do_parts


@dataclass(frozen=True)
class Job:
    folder: Path
    does: str = ""


def do(job: Job, part: int) -> dict:
    """Notes in a file of the part who did it; at part 3 it does what the job says."""
    with (job.folder / str(part)).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if part == 3 and job.does == "refuses":
        raise DataError("is no row", fix="mend it", file=job.folder / "rows", row=3)
    if part == 3 and job.does == "fails":
        raise KeyError("gone")
    if part == 3 and job.does == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"part": part, "pair": (1, 2)}


@pytest.mark.parametrize("workers", [ALONE, Workers(3), Workers(64)])
def test_every_part_is_done_once_and_records_are_json_whoever_did_it(tmp_path, workers):
    found = list(do_parts(do, Job(tmp_path), [4, 0, 2, 1, 5], workers, of="x"))
    assert sorted(record["part"] for record in found) == [0, 1, 2, 4, 5]
    assert all(record["pair"] == [1, 2] for record in found)
    who = [file.read_text().split() for file in tmp_path.iterdir()]
    assert all(len(some) == 1 for some in who)
    assert ({str(os.getpid())} == {one for (one,) in who}) == (workers.processes == 1)


def test_no_part_is_no_work(tmp_path):
    assert list(do_parts(do, Job(tmp_path), [], Workers(2, on_cluster=True), of="x")) == []


@pytest.mark.parametrize("workers", [ALONE, Workers(2)])
def test_what_the_user_has_to_mend_is_told_as_it_was_raised(tmp_path, workers):
    with pytest.raises(TrifacetError, match="row 3: is no row; mend it"):
        list(do_parts(do, Job(tmp_path, "refuses"), range(6), workers, of="x"))


def test_a_fault_of_ours_keeps_its_traceback(tmp_path):
    with pytest.raises(RuntimeError, match=r"a worker failed at part 3 of some folder:\n(.|\n)*KeyError: 'gone'"):
        list(do_parts(do, Job(tmp_path, "fails"), range(6), Workers(2), of="some folder"))


def test_a_worker_that_dies_is_told_with_what_to_do(tmp_path):
    with pytest.raises(TrifacetError, match=r"a worker process ended .*signal 9.*fewer --workers, then"):
        list(do_parts(do, Job(tmp_path, "dies"), range(6), Workers(2), of="x"))
