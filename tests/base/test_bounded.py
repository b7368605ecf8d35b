import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from trifacet.base.bounded import OutOfBoundsError, call_bounded, call_many
from trifacet.base.errors import DataError

MB = 1_000_000


def call(function, *arguments, seconds=5.0, memory=300 * MB):
    return call_bounded(function, *arguments, seconds=seconds, memory=memory)


def double(number):
    return 2 * number


def whose():
    return os.getpid(), os.getppid()


def refuse(file):
    raise DataError("is no picture", fix="give one", file=file, row=3, field="image")


def spin():
    while True:
        pass


def eat(size):
    return len(bytes(size))


def stumble():
    raise ValueError("first line\nsecond line")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    return "alive"


def no_result():
    return lambda: None


def imported():
    return sorted(sys.modules)


def in_daemon(results):
    results.put(call(double, 21))


def test_results_and_errors_of_users_come_back_as_if_called_here():
    assert call(double, 21) == 42
    assert call(double, b"x" * 5 * MB) == b"x" * 10 * MB  # more than a pipe holds, both ways
    with pytest.raises(DataError) as caught:
        call(refuse, "rows.jsonl")
    assert str(caught.value) == "rows.jsonl, row 3, field 'image': is no picture; give one"
    assert (caught.value.problem, caught.value.row, caught.value.fix) == ("is no picture", 3, "give one")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (spin, (), "takes more than 0.2 seconds"),
        (time.sleep, (60,), "takes more than 0.2 seconds"),
        (eat, (400 * MB,), "takes more than 300 MB of memory"),
        (stumble, (), r"failed \(ValueError: first line\)"),
        (die, (), r"its process died \(signal 9\)"),
        (sys.exit, (3,), r"failed \(SystemExit: 3\)"),
        (no_result, (), "failed .*"),
    ],
)
def test_whatever_else_happens_is_one_line_and_the_next_call_is_served(function, arguments, message):
    began = time.monotonic()
    with pytest.raises(OutOfBoundsError, match=f"^{message}$"):
        call(function, *arguments, seconds=0.2 if "0.2" in message else 5)
    assert time.monotonic() - began < 10
    assert call(double, 1) == 2


def test_each_call_has_its_own_bounds():
    with pytest.raises(OutOfBoundsError, match="100 MB"):
        call(eat, 200 * MB, memory=100 * MB)
    assert call(eat, 200 * MB) == 200 * MB


def test_a_worker_is_kept_and_knows_nothing_of_torch():
    first, second = call(whose), call(whose)
    assert first == second
    assert first[1] == os.getpid()
    assert not {"torch", "numpy", "transformers"} & set(call(imported))


def test_a_worker_that_died_while_it_waited_is_replaced():
    worker, _ = call(whose)
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert call(double, 1) == 2


def test_a_signal_to_all_processes_is_no_fault_of_a_call():
    assert call(terminated) == "alive"


def test_threads_have_a_worker_each():
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda number: call(double, number), range(40))) == [2 * n for n in range(40)]


def test_a_daemon_and_a_forked_process_have_their_own():
    call(double, 1)  # a line that the fork must not share
    context = get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=in_daemon, args=(results,), daemon=True)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert results.get() == 42
    assert call(double, 2) == 4


def slowly(number):
    time.sleep(0.3 if number == 0 else 0)
    return number, os.getpid()


@pytest.mark.parametrize("processes", [1, 3])
def test_many_calls_come_back_as_they_are_done(processes):
    results = list(call_many(slowly, ((number,) for number in range(20)), processes=processes))
    assert sorted(number for number, _ in results) == list(range(20))
    assert len({process for _, process in results}) <= processes
    assert (results[0][0] == 0) == (processes == 1)
    for _, process in results:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)  # ended, and its exit code was read


@pytest.mark.parametrize(("fatal", "told"), [(die, "its process died (signal 9)"), (stumble, "failed (ValueError")])
def test_a_death_among_many_calls_is_an_error(fatal, told):
    with pytest.raises(OutOfBoundsError, match=re.escape(told)):
        list(call_many(run, ((one,) for one in (whose, whose, fatal, whose)), processes=2))


def run(function):
    return function()


@pytest.mark.parametrize(
    "script",
    [
        "pid = call_bounded(os.getpid, seconds=5, memory=10**8); print(pid, flush=True); time.sleep(60)",
        "texts = ('__import__(\"os\").getpid()', '__import__(\"time\").sleep(60)')\n"
        "calls = call_many(eval, [(text,) for text in texts], processes=1)\n"
        "print(next(calls), flush=True); time.sleep(60)",
    ],
    ids=["waiting", "at work"],
)
def test_workers_end_with_a_parent_that_is_killed(script):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, time; from trifacet.base.bounded import call_bounded, call_many\n{script}",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
            if Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return  # ended; nobody has asked for its exit code
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.02)
    pytest.fail("the worker outlived its parent")
