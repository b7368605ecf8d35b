"""GGUF files for llama.cpp, by llama.cpp's own converter where the user has it.

Invariant: the converter, which is not part of Trifacet, runs only where its path was given, in a process of its own
that is not told what it does not need: no token of a hub, nor any other variable but those by which Python starts.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

from trifacet.base.errors import TrifacetError, disk_is_full

CONVERTER = "convert_hf_to_gguf.py"
HINT = (
    f"give --converter PATH of llama.cpp's {CONVERTER}; it lies in the sources of llama-cpp-python "
    "(pip download --no-deps --no-binary :all: llama-cpp-python, then unpack it: vendor/llama.cpp), needs the package "
    "sentencepiece, and is run with your rights"
)
PROJECTOR = "mmproj-"  # how the converter names what holds the vision encoder
_TOLD = (  # of the environment: where programs, libraries and files for a while are, and how text is spelled
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG",
    "LC_ALL", "LC_CTYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
)  # fmt: skip
_LONGEST = 200  # characters of what it says


def convert(folder: Path, converter: Path, name: str, output: Path, kind: str) -> tuple[Path, Path]:
    """The language model and the vision encoder of a hub folder as GGUF files.

    Args:
        folder: of the checkpoint.
        converter: llama.cpp's script.
        name: of the files, without ending.
        output: folder of the files.
        kind: type of the weights, as the converter's ``--outtype`` has it.

    Raises:
        TrifacetError: it does not support the model, or fails; with its last words.
    """
    files = output / f"{name}.gguf", output / f"{PROJECTOR}{name}.gguf"
    for file, more in zip(files, ([], ["--mmproj"]), strict=True):
        place = output / "converted"  # releases of the converter name the files by rules of their own
        place.mkdir()
        command = [str(converter), str(folder), "--outfile", str(place / file.name), "--outtype", kind, *more]
        done = subprocess.run(
            [sys.executable, *command], check=False, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, env=_environment(place),
        )  # fmt: skip
        made = sorted(place.glob("*.gguf"))  # and what else it put into its home
        if done.returncode or len(made) != 1:
            if disk_is_full(RuntimeError(done.stderr)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            what = "the vision encoder" if more else "the language model"
            raise TrifacetError(f"not supported: {converter.name} does not convert {what} ({_last(done.stderr)})")
        made[0].replace(file)
        shutil.rmtree(place)
    return files


def _environment(home: Path) -> dict[str, str]:
    """What the converter is told: a home of its own, which has no token of a hub, and no network to ask one for."""
    told = {name: os.environ[name] for name in _TOLD if name in os.environ}
    return {**told, "HOME": str(home), "USERPROFILE": str(home), "HF_HUB_OFFLINE": "1"}


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else "without a word"
