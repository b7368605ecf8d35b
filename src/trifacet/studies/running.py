"""Doing the jobs of a plan: one after the other here, or several at a time in processes of their own.

Invariant: a job that fails is told and takes with it only those that need what it makes; what is finished is not done
again, and what was interrupted goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from trifacet.base.errors import TrifacetError, disk_is_full, first_line
from trifacet.base.progress import console
from trifacet.base.words import visible_line
from trifacet.evolving.evolve import evolve
from trifacet.evolving.settings import EvolveRecipe
from trifacet.runs.run import run_recipe
from trifacet.studies.folder import LOGS, held, is_done, is_finished, note_made, take_lent
from trifacet.studies.works import Job, Plan

_LOOK = 0.1  # seconds between two looks at processes
_TAIL = 4000  # bytes of a log in which its last line is looked for


@dataclass
class Done:
    """What came of the jobs: those that are finished, and for the others why they are not."""

    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def do_job(plan: Plan, name: str) -> None:
    """Do one job in this process, unless it is done; while another process does it, wait.

    Raises:
        TrifacetError: there is none of this name, what it needs is not finished, or the run's own.
    """
    if name not in plan.jobs:
        raise TrifacetError(f"the study has no job {name!r}; --plan --json FILE lists them")
    job = plan.jobs[name]
    for needed in job.needs:
        if not is_finished(plan.jobs[needed]):
            raise TrifacetError(f"{name} needs {needed}, which is not finished; do that job first")
    with held(job):
        if not is_done(job):  # another study may have done it meanwhile
            take_lent(plan, job)
            if isinstance(job.recipe, EvolveRecipe):
                evolve(job.recipe)
            else:
                run_recipe(job.recipe)
        note_made(plan, job)


def do_jobs(plan: Plan, *, processes: int, command: Callable[[str], Sequence[str]]) -> Done:
    """Do all jobs of a plan, each when what it needs is there.

    Args:
        plan: whose jobs.
        processes: with 1, one after the other in this process; else so many processes.
        command: what a process is started with, by the job's name.

    Raises:
        TrifacetError: the disk is full: what else there is to do would fail as well.
        KeyboardInterrupt: interrupted; processes have been told to stop, and have saved what they do.
    """
    done = Done()
    waiting = []
    for name, job in plan.jobs.items():
        if is_done(job):
            done.finished.append(name)
        else:
            waiting.append(name)
    if done.finished:
        console.print(f"{len(done.finished)} of {len(plan.jobs)} runs: finished before")
    if processes == 1:
        for name in waiting:
            _here(plan, plan.jobs[name], done)
    else:
        _Pool(plan, done, processes, command).work(waiting)
    return done


def _lacking(job: Job, failed: Mapping[str, str]) -> str | None:
    """Why a job cannot be begun."""
    gone = next((one for one in job.needs if one in failed), None)
    return None if gone is None else f"not begun, since it needs {gone}"


def _here(plan: Plan, job: Job, done: Done) -> None:
    if (why := _lacking(job, done.failed)) is not None:
        _tell_failed(plan, job, done, why)
        return
    console.tell((job.name, "bold"))
    began = time.monotonic()
    try:
        do_job(plan, job.name)
    except TrifacetError as error:
        if "disk of" in str(error) and "is full" in str(error):
            raise
        _tell_failed(plan, job, done, str(error))
    except Exception as error:
        if disk_is_full(error):
            raise
        _tell_failed(plan, job, done, f"{type(error).__name__}: {first_line(error)}")
    else:
        _tell_finished(plan, job, done, time.monotonic() - began)


def _tell_finished(plan: Plan, job: Job, done: Done, seconds: float) -> None:
    done.finished.append(job.name)
    over = len(done.finished) + len(done.failed)
    console.print(f"{job.name}: finished in {seconds:.0f} s ({over} of {len(plan.jobs)})", soft_wrap=True)


def _tell_failed(plan: Plan, job: Job, done: Done, why: str) -> None:
    done.failed[job.name] = why
    console.tell(("failed:", "bold red"), f" {job.name}: {visible_line(why)}")


@dataclass
class _Started:
    """A job in a process of its own."""

    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    began: float


class _Pool:
    def __init__(self, plan: Plan, done: Done, processes: int, command: Callable[[str], Sequence[str]]) -> None:
        self.plan, self.done, self.processes, self.command = plan, done, processes, command
        self.at_work: list[_Started] = []

    def work(self, waiting: Sequence[str]) -> None:
        left = list(waiting)
        try:
            while left or self.at_work:
                self._collect()
                for name in list(left):
                    job = self.plan.jobs[name]
                    if (why := _lacking(job, self.done.failed)) is not None:
                        left.remove(name)
                        _tell_failed(self.plan, job, self.done, why)
                    elif len(self.at_work) < self.processes and self._may_begin(job):
                        left.remove(name)
                        self._begin(job)
                if self.at_work:
                    time.sleep(_LOOK)
        finally:
            self._stop()

    def _may_begin(self, job: Job) -> bool:
        ended = {*self.done.finished, *self.done.failed}
        return all(one in self.done.finished for one in job.needs) and all(one in ended for one in job.waits)

    def _begin(self, job: Job) -> None:
        path = self.plan.folder / LOGS / f"{job.name.replace('/', '_')}.txt"
        path.parent.mkdir(exist_ok=True)
        log = path.open("wb")
        cores = os.cpu_count() or 1
        environment = {"OMP_NUM_THREADS": str(max(1, cores // self.processes)), **os.environ}
        # a group of its own: a terminal's Ctrl-C reaches this process, which passes it on once
        process = subprocess.Popen(
            self.command(job.name), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip
        console.print(f"{job.name}: begun, told in {path}", soft_wrap=True)
        self.at_work.append(_Started(job, process, log, time.monotonic()))

    def _collect(self) -> None:
        for one in list(self.at_work):
            code = one.process.poll()
            if code is None:
                continue
            self.at_work.remove(one)
            one.log.close()
            if code == 0 and is_finished(one.job):
                _tell_finished(self.plan, one.job, self.done, time.monotonic() - one.began)
            else:
                _tell_failed(self.plan, one.job, self.done, _why(Path(one.log.name), code))

    def _stop(self) -> None:
        """End what is still at work, as it ends on a signal: with a checkpoint."""
        for one in self.at_work:
            one.process.send_signal(signal.SIGTERM)
        for one in self.at_work:
            with suppress(KeyboardInterrupt):
                one.process.wait()
            one.log.close()


def _why(log: Path, code: int) -> str:
    """Why a process ended: by which signal, or the last line that it wrote."""
    if code < 0:
        name = signal.Signals(-code).name if -code in {*signal.Signals} else str(-code)
        memory = "; where nobody did that, the memory did not suffice" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory} ({log})"
    lines = log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip().splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{last.removeprefix('error: ')} ({log})" if last else f"exit code {code} ({log})"


def job_command(file: Path, budget: str, given: Sequence[str]) -> Callable[[str], list[str]]:
    """What starts a job in a process of its own: this command, with the job's name."""
    words = [sys.executable, "-m", "trifacet", *study_words(file, budget, given)]
    return lambda name: [*words, "--job", name]


def study_words(file: Path, budget: str, given: Sequence[str]) -> list[str]:
    """The words after ``trifacet`` that lead to a study."""
    own = [word for one in given for word in ("--set", one)]
    return ["study", str(file), *(["--budget", budget] if budget else []), *own]
