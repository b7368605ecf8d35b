"""Rejected versions that come from another sample: its context or its image.

Invariant: what is drawn is never the sample itself nor a twin that holds the same text or the same image file, and
every other candidate has the same chance.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError
from trifacet.preferences.facets import Facet

ATTEMPTS = 64  # blind draws before all samples are looked at; most data have few twins


def context_donors(
    contexts: Sequence[str], index: int, *, seed: int, sample_id: str, versions: int = 1, epoch: int = 0
) -> list[int]:
    """Indices of the samples whose contexts serve sample ``index`` as its rejected contexts.

    Candidates are the samples with a context that is not blank and, blanks at its ends aside, not this sample's own.
    The versions have different texts as long as there are enough of them.

    Raises:
        TrifacetError: when no other sample has a different context.
    """
    donors = _donors(
        len(contexts),
        index,
        lambda candidate: contexts[candidate].strip(),
        versions,
        (seed, sample_id, Facet.CONTEXT.value, epoch),
    )
    if donors is None:
        raise TrifacetError(
            f"sample {sample_id!r}: no other sample has a different context to reject; "
            "add samples, or use an objective without the terms that reject the context"
        )
    return donors


def rejected_contexts(
    contexts: Sequence[str], index: int, *, seed: int, sample_id: str, versions: int = 1, epoch: int = 0
) -> list[str]:
    """The rejected contexts of sample ``index``, as the donors have them; see ``context_donors``."""
    donors = context_donors(contexts, index, seed=seed, sample_id=sample_id, versions=versions, epoch=epoch)
    return [contexts[donor] for donor in donors]


def image_donors(
    images: Sequence[str | None],
    index: int,
    *,
    seed: int,
    sample_id: str,
    versions: int = 1,
    epoch: int = 0,
    beside: Sequence[str] = (),
) -> list[int]:
    """Indices of the samples whose images serve sample ``index`` as rejected images; ``images`` are their paths.

    A sample whose image is the same file, or one of those that sample ``index`` shows ``beside`` its own, is no
    candidate, nor is one without an image. Versions are different files as long as there are enough.

    Raises:
        TrifacetError: when no other sample has a different file.
    """
    donors = _donors(
        len(images),
        index,
        lambda candidate: _file(images[candidate]),
        versions,
        (seed, sample_id, Facet.IMAGE.value, epoch),
        map(_file, beside),
    )
    if donors is None:
        raise TrifacetError(
            f"sample {sample_id!r}: no other sample has a different image to reject; "
            "add samples or choose another strategy than randomness"
        )
    return donors


def _file(path: str | None) -> str:
    """One spelling for each file; blank for none."""
    return posixpath.normpath(path.replace("\\", "/")) if path else ""


def _donors(
    n: int,
    index: int,
    content: Callable[[int], str],
    versions: int,
    key: tuple[str | int, ...],
    barred: Iterable[str] = (),
) -> list[int] | None:
    """``versions`` donors whose contents are not blank, the sample's own or barred; None where there is no such one."""
    donors: list[int] = []
    used = {"", content(index), *barred}
    exhausted_at = 0
    for version in range(1, versions + 1):
        donor = _other(n, index, lambda candidate: content(candidate) not in used, (*key, version))
        if donor is None:
            if not donors:
                return None
            exhausted_at = exhausted_at or len(donors)
            donor = donors[(version - 1) % exhausted_at]  # all that the data hold are in use: go round again
        donors.append(donor)
        used.add(content(donor))
    return donors


def _other(n: int, index: int, allowed: Callable[[int], bool], key: tuple[str | int, ...]) -> int | None:
    """An index other than ``index`` that is ``allowed``, uniform over all such; None where there is none.

    Blind draws are uniform over the allowed ones when they hit one; else the allowed ones are listed.
    """
    if n < 2:
        return None
    rng = generator("donor", *key)
    for _ in range(ATTEMPTS):
        drawn = int(rng.integers(n - 1))
        candidate = drawn + (drawn >= index)
        if allowed(candidate):
            return candidate
    candidates = [other for other in range(n) if other != index and allowed(other)]
    return candidates[int(rng.integers(len(candidates)))] if candidates else None


def partners(contents: Sequence[str], versions: int, *, beside: Sequence[str] = ()) -> list[int]:
    """Places in a group of the members that lend the first one their content: those that come next, in order.

    Members with blank contents, the first one's own, one of ``beside`` or one that is taken already lend nothing.
    Where too few are left, the ones that there are serve again; the list is empty when there is none.
    """
    taken = {"", contents[0].strip(), *beside}
    found: list[int] = []
    for place in range(1, len(contents)):
        content = contents[place].strip()
        if content not in taken:
            taken.add(content)
            found.append(place)
    return [found[version % len(found)] for version in range(versions)] if found else []
