"""Killed at any moment and started again, a question that was answered is not asked again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from questions import backwards, posts

from trifacet.demo.endpoint_server import ScriptedEndpoint

COUNT, AT_ONCE = 150, 4


def test_a_kill_loses_what_is_in_flight_at_most(tmp_path):
    with ScriptedEndpoint(backwards, latency=0.005) as endpoint:
        command = [sys.executable, str(Path(__file__).with_name("questions.py")), endpoint.base_url]
        command += [str(tmp_path / "a.sqlite"), str(COUNT)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        for enough in (40, 90):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            until = time.monotonic() + 60
            while endpoint.calls.delivered < enough and process.poll() is None and time.monotonic() < until:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, "it was to be killed half-way"
            process.stdout.close()
        assert endpoint.calls.delivered < COUNT
        ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=240, check=True)
        assert json.loads(ended.stdout) == [text[::-1] for text in posts(COUNT)]
        assert COUNT <= endpoint.calls.delivered <= COUNT + 2 * AT_ONCE
        paid = endpoint.calls.delivered
        subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=240, check=True)
        assert endpoint.calls.delivered == paid
