"""METEOR 1.5, asked of its own Java program, which the package pycocoevalcap brings.

Invariant: the program is ended, whatever happens: when it has answered, when it fails, and when its time is up.
Shape letters: S samples, K = 23 statistics of a caption.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from trifacet.base.errors import TrifacetError
from trifacet.metrics.coco import Tokenized, Tokens
from trifacet.statistics.measures import Array, Measure

METEOR = "coco/meteor_1.5"
_STATISTICS = 23
CHUNKS = 20  # the place of the number of chunks; the words matched on either side follow
START_SECONDS, CAPTION_SECONDS = 120.0, 0.25  # a caption takes milliseconds; the program reads its tables for seconds

# The program's settings for English: alpha, beta, gamma and delta, and the weights of its four kinds of match (exact,
# stem, synonym, paraphrase). Denkowski and Lavie, "Meteor Universal", 2014.
ALPHA, _BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)


def meteor_measure(captions: Tokenized, *, java: str | None = None, jar: Path | None = None) -> Measure:
    """METEOR 1.5 x 100 of tokenised captions: of a set from its summed statistics, as the program computes it.

    Args:
        captions: what to compare.
        java: the Java program; by default the one on the path.
        jar: the METEOR program; by default pycocoevalcap's.

    Raises:
        TrifacetError: no Java, no jar, or the program failed or took too long; the message says what to do.
    """
    java, jar = java or shutil.which("java"), jar or find_jar()
    if java is None:
        raise TrifacetError("there is no Java; install one, such as `apt-get install default-jre-headless`")
    if jar is None:
        raise TrifacetError("its program comes with pycocoevalcap, which is not installed; pip install pycocoevalcap")
    limit = START_SECONDS + CAPTION_SECONDS * len(captions.ids)
    with _running([java, "-jar", "-Xmx2G", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"], jar, limit) as program:
        rows = [_ask(program, *pair) for pair in zip(captions.hypotheses, captions.references, strict=True)]
    return Measure(METEOR, captions.ids, _without_whole(np.array(rows).reshape(-1, _STATISTICS)), meteor)


def find_jar() -> Path | None:
    """The jar in pycocoevalcap's folder, or None."""
    package = importlib.util.find_spec("pycocoevalcap")
    for folder in (package.submodule_search_locations or []) if package else []:
        jar = Path(folder, "meteor", "meteor-1.5.jar")
        if jar.is_file():
            return jar.absolute()
    return None


def _without_whole(rows_SK: Array) -> Array:
    """The statistics with no chunk for a caption that matches its reference from end to end.

    So the program adds them up: what is not in fragments adds no penalty to the set either.
    """
    matched_S2, words_S2 = rows_SK[:, CHUNKS + 1 : CHUNKS + 3], rows_SK[:, :2]
    whole_S = (rows_SK[:, CHUNKS] == 1) & (matched_S2 == words_S2).all(axis=1)
    kept_SK = rows_SK.copy()
    kept_SK[whole_S, CHUNKS] = 0.0
    return kept_SK


def meteor(sums: Array) -> Array:
    """The score x 100 from (..., K) sums of statistics, those of captions that match as a whole without their chunk.

    Their order: words and function words of caption and reference, then for each kind of match the content words and
    the function words that matched on either side, then the number of chunks and the words matched on either side.
    """
    words, reference, functions, reference_functions = (sums[..., place] for place in range(4))
    kinds = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 4)
    content, reference_content, function, reference_function = (
        kinds[..., place] @ np.array(_WEIGHTS) for place in range(4)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = _weighted(content, function) / _weighted(words - functions, functions)
        recall = _weighted(reference_content, reference_function) / _weighted(
            reference - reference_functions, reference_functions
        )
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        fragments = 2 * sums[..., CHUNKS] / (sums[..., CHUNKS + 1] + sums[..., CHUNKS + 2])
        return np.asarray(100.0 * np.nan_to_num(mean * (1 - GAMMA * fragments**_BETA)))


def _weighted(content: Array, function: Array) -> Array:
    return DELTA * content + (1 - DELTA) * function


@contextmanager
def _running(command: list[str], jar: Path, limit: float) -> Iterator[subprocess.Popen[str]]:
    """The program, which a clock ends after ``limit`` seconds; a read from it then meets the end of the file."""
    try:
        program = subprocess.Popen(
            command,
            cwd=jar.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise TrifacetError(f"Java cannot be started ({error.strerror}); repair or install it") from None
    late = threading.Event()

    def end() -> None:
        late.set()
        program.kill()

    clock = threading.Timer(limit, end)
    clock.start()
    try:
        yield program
    except (OSError, ValueError) as error:
        if late.is_set():
            raise TrifacetError(f"its program did not answer within {limit:.0f} s and was ended; try again") from None
        raise TrifacetError(f"its program failed ({error}); try `java -jar {jar}`") from None
    finally:
        clock.cancel()
        program.kill()
        program.communicate()


def _ask(program: subprocess.Popen[str], hypothesis: Tokens, references: list[Tokens]) -> list[float]:
    """The statistics of one caption against the reference that suits it best."""
    if program.stdin is None or program.stdout is None:
        raise ValueError("it has no pipes")
    line = " ||| ".join(["SCORE", *map(_field, references), _field(hypothesis)])
    program.stdin.write(f"{line}\n")
    program.stdin.flush()
    answer = program.stdout.readline()
    try:
        values = [float(value) for value in answer.split()]
    except ValueError:
        values = []
    if len(values) != _STATISTICS:
        raise ValueError(f"answered {answer.strip()[:80]!r}")
    return values


def _field(tokens: Tokens) -> str:
    return " ".join(" ".join(tokens).replace("|||", "").split())
