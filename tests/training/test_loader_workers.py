"""Processes that read ahead say nothing of an interruption that the main process tells of."""

import subprocess
import sys

import pytest

# As torch hands a tensor over: the main process connects, and is interrupted before it has said what it wants.
INTERRUPTED = """
import time
from multiprocessing import process, resource_sharer
from multiprocessing.connection import Client
from trifacet.training.loader_workers import OutliveSignal
{init}
address, _ = resource_sharer.DupFd(0)._id
Client(address, authkey=process.current_process().authkey).close()
time.sleep(0.3)
"""


@pytest.mark.parametrize(("init", "says"), [("OutliveSignal()(0)", False), ("", True)])
def test_a_hand_over_that_was_interrupted_prints_no_traceback(init, says):
    script = INTERRUPTED.format(init=init)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ("EOFError" in done.stderr) == says
