"""Digests of what results depend on: files, folders, installed packages."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.opening import open_regular


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; OSError where it cannot be read."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of a value as JSON in ASCII with sorted keys, in hexadecimal."""
    return text_digest(json.dumps(value, sort_keys=True))


def text_number(text: str) -> int:
    """64 bits with a sign that belong to a text, to count different ones with."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def content_of(name: str | Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names; of an installed package its version.

    Of anything else, such as the id of a model on a hub, the name is all that is known.

    Raises:
        TrifacetError: a file cannot be read.
    """
    path = Path(name)
    try:
        if path.is_dir():
            whole = hashlib.sha256()
            for file in sorted(one for one in path.rglob("*") if one.is_file()):
                whole.update(
                    f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode("utf-8", "surrogatepass")
                )
            return f"sha256 {whole.hexdigest()}"
        if path.is_file():
            return f"sha256 {file_digest(path)}"
    except OSError as error:
        raise TrifacetError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
    try:
        return f"version {version(str(name))}"
    except (PackageNotFoundError, ValueError):
        return str(name)


def sha256_of(path: Path) -> str | None:
    """The file's hash, None where there is no such file."""
    try:
        return file_digest(path)
    except FileNotFoundError:
        return None
