"""``python -m trifacet`` is ``trifacet``: what launchers such as torchrun take.

Invariant: light, so that Ctrl-C and SIGTERM end the seconds of importing, in which nothing has begun, at once and in
one line.
"""

import contextlib
import os
import signal
from types import FrameType
from typing import NoReturn


def _end(number: int, frame: FrameType | None) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted by SIGTERM\n" if number == signal.SIGTERM else b"interrupted\n")
    os._exit(130)


def start() -> None:
    """Run the command line as a process of its own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, _end)
    from trifacet.cli.streams import guard_streams

    guard_streams()
    from trifacet.cli.main import command

    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


if __name__ == "__main__":
    start()
