"""Parts of a job, handed out to processes of this machine or of a Ray cluster.

Invariant: what a part leaves does not depend on which worker did it, nor when. A worker that dies ends the work with a
line that says so, and what it had finished stays; on a cluster its part is begun again on another one first.
"""

from __future__ import annotations

import itertools
import json
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.errors import TrifacetError, first_line
from trifacet.base.extras import needed_for

Record = dict[str, Any]
DoPart = Callable[[Any, int], Record]
"""Does a part of a job, by its number; a function of a module, so that other processes find it. Its record is JSON."""
_AGAIN = 3  # times that a cluster begins anew what a worker died of, which may be another's fault


@dataclass(frozen=True)
class Workers:
    """Who does parts.

    Attributes:
        processes: so many at a time.
        on_cluster: on the cluster of ``cluster_at`` instead of this machine. Its machines must see the job's folders
            under the same paths.
        gpus: of the cluster's, that each has for itself.
    """

    processes: int
    on_cluster: bool = False
    gpus: int = 0


ALONE = Workers(1)  # this process


@dataclass(frozen=True)
class Cluster:
    """What a Ray cluster has, all machines together."""

    cores: int
    gpus: int


def do_parts(do: DoPart, job: Any, parts: Sequence[int], workers: Workers, *, of: str) -> Iterator[Record]:
    """Do the parts, in whatever order workers finish them; yields their records.

    Args:
        do: what is done to a part.
        job: what ``do`` is told besides; can be pickled.
        parts: which parts.
        workers: who does them; one process of this machine is this one.
        of: whose parts they are, for messages.

    Raises:
        TrifacetError: something that the user has to mend, or a worker was killed.
    """
    if not parts:
        return
    processes = min(workers.processes, len(parts))
    if processes <= 1 and not workers.on_cluster:  # starting a process takes longer than most parts
        for part in parts:
            record: Record = json.loads(json.dumps(do(job, part)))
            yield record
        return
    if workers.on_cluster:
        told = _by_cluster(do, job, parts, processes, workers.gpus)
    else:
        told = call_many(_told, ((do, job, part) for part in parts), processes=processes)
    try:
        yield from (_checked(answer, of) for answer in told)
    except OutOfBoundsError as death:
        raise TrifacetError(
            f"a worker process ended amid its work ({death}): it was killed, or the memory did not suffice; free some "
            "memory or take fewer --workers, then the same command continues"
        ) from None


def _told(do: DoPart, job: Any, part: int) -> str:
    """The part's record as text; errors too, since what is raised in a worker loses its type on the way."""
    try:
        return json.dumps(do(job, part))
    except TrifacetError as error:
        return json.dumps({"part": part, "user_error": str(error)})
    except Exception:
        return json.dumps({"part": part, "error": traceback.format_exc()})


def _checked(told: str, of: str) -> Record:
    record: Record = json.loads(told)
    if "user_error" in record:
        raise TrifacetError(record["user_error"])
    if "error" in record:
        raise RuntimeError(f"a worker failed at part {record['part']} of {of}:\n{record['error']}")
    return record


# --- a cluster --------------------------------------------------------------------------------------------------


def cluster_at(ray: str) -> Cluster:
    """Use the Ray cluster at this address ("auto", "ray://host:port", "host:port"); returns what it has.

    Raises:
        TrifacetError: there is no such cluster, or ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # it reports to nobody
    with needed_for("--ray"):
        import ray as cluster
    try:
        cluster.init(address=ray, log_to_driver=False, ignore_reinit_error=True)
        there = cluster.cluster_resources()
    except Exception as error:  # ray's own, of many kinds
        raise TrifacetError(
            f"cannot use the Ray cluster at {ray} ({error}); check the address, and set RAY_AUTH_MODE=token where the "
            "cluster asks for a token"
        ) from None
    return Cluster(int(there.get("CPU", 1)), int(there.get("GPU", 0)))


class _Hand:
    """A process of a cluster that stays for many parts, so that what it has loaded stays too."""

    def come(self, folder: str) -> str | None:
        """What is wrong with working where whoever asked works."""
        if Path(folder).is_dir():
            return None
        return f"a machine of the cluster has no folder {folder}; its machines have to see the same folders"

    def do(self, folder: str, do: DoPart, job: Any, part: int) -> str:
        """See ``_told``. The cluster may have begun this hand anew, so that it is anywhere."""
        os.chdir(folder)
        return _told(do, job, part)


def _by_cluster(do: DoPart, job: Any, parts: Sequence[int], processes: int, gpus: int) -> Iterator[str]:
    """A hand is given its first part when it has come: of those for whom there is no place none waits."""
    import ray

    kind = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=_AGAIN, max_task_retries=_AGAIN)(_Hand)
    sent, here, waiting, missing = ray.put(job), str(Path.cwd()), iter(parts), len(parts)
    hands = [kind.remote() for _ in range(processes)]
    coming = {hand.come.remote(here): hand for hand in hands}
    at_work: dict[Any, Any] = {}
    try:
        while missing:
            (done, *_), _ = ray.wait([*at_work, *coming])
            answer = ray.get(done)
            if done in at_work:
                hand = at_work.pop(done)
                missing -= 1
                yield answer
            else:
                hand = coming.pop(done)
                if answer is not None:
                    raise TrifacetError(answer)
            for part in itertools.islice(waiting, 1):
                at_work[hand.do.remote(here, do, sent, part)] = hand
    except ray.exceptions.RayError as error:
        raise OutOfBoundsError(first_line(error)[:200]) from None
    finally:
        for hand in hands:
            with suppress(Exception):  # the cluster itself may be gone
                ray.kill(hand)
