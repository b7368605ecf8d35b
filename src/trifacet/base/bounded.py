"""Calling functions in processes that may be ended: on what nobody has vouched for, or on many things at once.

Invariant: the caller waits and pays no more than the stated time and memory, whatever the function does: loops, eats,
crashes, hangs in a system call. What it returns or a TrifacetError that it raises comes back as if called here; a
process that dies, at whatever moment of its life, is an error here.

Workers of ``call_bounded`` are kept for the next call, belong to the thread that uses them until it is done, and end
with their parent. They are no children of ``multiprocessing``: its daemons, a loader's workers for one, may have none,
and they would run the user's script once more.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from trifacet.base import system
from trifacet.base.errors import TrifacetError, first_line

Result = TypeVar("Result")
_WAITING = 4  # on a busy machine, or asleep, a call may take so many times its seconds
_OVER_TIME = ("SIGPROF", "SIGALRM")


class OutOfBoundsError(TrifacetError):
    """A call that did not come to an end of its own: too long, too large, or its process failed or died."""


def call_bounded(function: Callable[..., Result], *arguments: Any, seconds: float, memory: int) -> Result:
    """``function(*arguments)`` in another process.

    Args:
        function: of a module, so that the other process finds it; importing that module counts as part of the call.
        arguments: whatever can be pickled, as the result must be too.
        seconds: of computing, whatever else the machine does; the wait is bounded by four times as many.
        memory: bytes of the whole process that hold data of its own, Python's some 10 MB included.

    Raises:
        TrifacetError: the function raised it.
        OutOfBoundsError: everything else, in words that can follow a name and a colon.
    """
    if not system.POSIX:
        return _called_here(function, arguments)
    worker = _worker()
    try:
        worker.ask(function, arguments, seconds, memory)
        done, told = worker.answer(seconds)
    except BaseException:
        worker.end()
        raise
    _idle.append(worker)
    if not done:
        raise told
    return told


def call_many(function: Callable[..., Result], calls: Iterable[tuple[Any, ...]], *, processes: int) -> Iterator[Result]:
    """``function(*call)`` of each of the calls, in so many other processes, which end with it; without bounds.

    Yields:
        what the function returns, in the order in which it does.

    Raises:
        TrifacetError: the function raised it.
        OutOfBoundsError: it raised something else, or a process died, in words that can follow a name and a colon.
    """
    if not system.POSIX:
        yield from (_called_here(function, call) for call in calls)
        return
    waiting, workers, at_work = iter(calls), list[_Worker](), dict[Any, _Worker]()

    def hand_next_to(worker: _Worker) -> None:
        for call in itertools.islice(waiting, 1):
            worker.ask(function, call)
            at_work[worker.line] = worker

    try:
        for _ in range(processes):
            workers.append(_Worker())
            hand_next_to(workers[-1])
        while at_work:
            for line in wait(list(at_work)):
                worker = at_work.pop(line)
                done, told = worker.answer()
                if not done:
                    raise told
                hand_next_to(worker)
                yield told
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process and the line to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            start = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import _serve; _serve({theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-c", start],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for the parent
            )
        self.line = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        seconds: float = 0,
        memory: int = sys.maxsize,
    ) -> None:
        """Begin a call; ``seconds`` of 0 are no bound."""
        job = pickle.dumps((function, arguments))
        with suppress(OSError):  # its process died: ``answer`` says so
            self.line.send((seconds, memory, sys.path))
            self.line.send_bytes(job)

    def answer(self, seconds: float = 0) -> tuple[bool, Any]:
        """Whether the function returned, and what it returned or raised. After an OutOfBoundsError there is no more."""
        try:
            # its own alarm did not ring: stopped, or out of reach
            if not self.line.poll(_WAITING * seconds + 5 if seconds else None):
                raise _took(seconds)
            answer = self.line.recv_bytes()
        except (EOFError, OSError):
            raise self._death(seconds) from None
        try:
            return pickle.loads(answer)
        except Exception as error:
            raise OutOfBoundsError(f"its result cannot be read ({type(error).__name__}: {first_line(error)})") from None

    def _death(self, seconds: float) -> OutOfBoundsError:
        self.line.close()
        code = self._process.wait()
        if code < 0 and signal.Signals(-code).name in _OVER_TIME:
            return _took(seconds)
        return OutOfBoundsError(f"its process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def end(self) -> None:
        self.line.close()
        self._process.kill()
        self._process.wait()

    def leave(self) -> None:
        """Let go of a worker that another process owns."""
        self.line.close()
        self._process.returncode = 0  # or it would be reported as left behind


def _took(seconds: float) -> OutOfBoundsError:
    return OutOfBoundsError(f"takes more than {seconds:g} seconds")


def _serve(handle: int) -> None:
    """A worker's life: calls until the line is closed.

    Schedulers send their signals to all processes: the parent ends in its own time, and what it asks for meanwhile must
    not seem to be at fault.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.stack_size(1 << 18)  # a stack counts as memory
    threading.Thread(target=_end_with_parent, args=(handle,), daemon=True).start()
    threading.stack_size(0)
    with Connection(handle) as line:
        while True:
            try:
                seconds, memory, sys.path[:] = line.recv()
                job = line.recv_bytes()
            except (EOFError, OSError):
                return
            line.send_bytes(_answer(job, seconds, memory))


def _end_with_parent(handle: int) -> None:
    """Amid a call too: nobody is there to read what comes of it."""
    parent = select.poll()
    parent.register(handle, 0)  # what hangs up is told unasked
    parent.poll()
    os._exit(1)


def _called_here(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """In this process, unbounded, with the same errors."""
    try:
        return function(*arguments)
    except TrifacetError:
        raise
    except Exception as error:
        raise _failed(error) from None


def _failed(error: BaseException) -> OutOfBoundsError:
    return OutOfBoundsError(f"failed ({type(error).__name__}: {first_line(error)})")


def _answer(job: bytes, seconds: float, memory: int) -> bytes:
    _bound(seconds, memory)
    try:
        function, arguments = pickle.loads(job)
        return pickle.dumps((True, function(*arguments)))
    except TrifacetError as error:
        return pickle.dumps((False, error))
    except MemoryError:
        return pickle.dumps((False, OutOfBoundsError(f"takes more than {memory / 1e6:.0f} MB of memory")))
    except (Exception, SystemExit) as error:
        return pickle.dumps((False, _failed(error)))
    finally:
        _bound(0, memory)


def _bound(seconds: float, memory: int) -> None:
    """Have the system end this process after so much time (0: no more), and refuse it more memory."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WAITING * seconds)
    system.bound_memory(memory)


_idle: list[_Worker] = []  # append and pop are atomic: threads share it


def _worker() -> _Worker:
    """One that waits, or a new one."""
    while _idle:
        with suppress(IndexError):  # another thread was faster
            if (worker := _idle.pop()).alive:
                return worker
    return _Worker()


def _end_all() -> None:
    while _idle:
        _idle.pop().end()


def _leave_all() -> None:
    while _idle:
        _idle.pop().leave()


atexit.register(_end_all)
system.after_fork(_leave_all)
