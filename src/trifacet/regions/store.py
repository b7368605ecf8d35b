"""Located regions on disk: a folder with a line for each sample, made once and used as often as one likes.

``regions.jsonl`` has a sealed line per sample, in the order of the data; ``regions.json`` says by what they were
located; ``seconds.jsonl`` how long each took. Invariants: a line is on disk before the next sample is looked at by the
same process, so that a kill costs what was being looked at; the finished file's bytes do not depend on kills or on how
many processes looked; what was located of another picture, response or by other settings is refused, never used.
"""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from trifacet.base import claims
from trifacet.base.bounded import OutOfBoundsError, call_many
from trifacet.base.claims import Claim, Difference, differences, told
from trifacet.base.digests import file_digest, json_digest
from trifacet.base.errors import DataError, TrifacetError, of_sample
from trifacet.base.files import append_durably, replacing
from trifacet.base.images import resolve_inside
from trifacet.base.opening import opened as opened_file
from trifacet.base.seals import read_document, sealed, unsealed
from trifacet.data.records import PreferenceSample
from trifacet.data.source import FilesRead, Source
from trifacet.lettering.settings import COLUMN as LETTERING
from trifacet.preferences.rejected.masks import Lettered, Mask
from trifacet.regions.given import Given
from trifacet.regions.locating import Located, Looking, Opener, Status, decoded_mask, look_at, opened

MARK, LINES, TIMES, PAGE = "regions.json", "regions.jsonl", "seconds.jsonl", "regions.html"
WHOLE, SECONDS = "sha256", "seconds"
AGAIN = "locate them again with 'trifacet regions', into another folder or with --overwrite"
_LONGEST_LINE = 64 * 1024 * 1024
Progress = Callable[[int, int], None]


class Totals(NamedTuple):
    """How samples fared: with regions, with global noise by reason, the regions' mean share of the picture."""

    located: int
    fallbacks: dict[str, int]
    mean_area: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"located": self.located, "global noise": self.fallbacks, "mean area": self.mean_area}


def totals(statuses: Sequence[tuple[Status, float]]) -> Totals:
    """Count statuses, each with the area of its sample."""
    areas = [area for status, area in statuses if status == "located"]
    counts = Counter(status for status, _ in statuses if status != "located")
    return Totals(len(areas), dict(sorted(counts.items())), round(sum(areas) / len(areas), 6) if areas else None)


def rows_of(source: Source, limit: int | None = None) -> list[tuple[int, PreferenceSample]]:
    """The preference samples of a source with their rows. Raises DataError for a bad row, unless such are skipped."""
    rows = source.rows(lambda problem: None)[:limit]
    return [(row, sample) for row, sample in rows if isinstance(sample, PreferenceSample)]


def locate(
    source: Source,
    output: Path,
    opener: Opener,
    *,
    max_pixels: int,
    limit: int | None = None,
    workers: int = 1,
    overwrite: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> int:
    """Locate the regions of every sample of ``source`` that ``output`` lacks.

    Args:
        source: the preference samples and the folder of their pictures.
        output: the folder, made or continued.
        opener: opens what looks, in each process that does.
        max_pixels: largest picture.
        limit: only the first so many rows.
        workers: processes that look, each on one thread of the CPU; 1 looks in this one.
        overwrite: begin anew, whatever is there.
        on_progress: told (samples done, samples in all).

    Returns:
        how many samples were located now.

    Raises:
        DataError: a row, picture or region that cannot be used, unless the source skips such.
        TrifacetError: the folder is of other work, or holds regions located otherwise; what changed is named.
    """
    rows = rows_of(source, limit)
    with claims.claimed(output, MARK) as claim:
        claims.remove_torn(output)
        claim.clear([output / name for name in (LINES, TIMES, PAGE)], asked=overwrite)
        pickled = pickle.dumps(opener)
        opened.cache_clear()  # what it opened before may have changed
        looking = opened(pickled)
        fingerprint = json.loads(json.dumps(looking.fingerprint()))
        if (held := claim.held(fingerprint=dict)) is None:
            (output / LINES).unlink(missing_ok=True)
            claim.begin({"fingerprint": fingerprint, WHOLE: None, "started": claims.moment(), "finished": None})
        elif changed := differences(held["fingerprint"], fingerprint):
            raise claims.refused(f"{output} holds regions that were located otherwise: {told(changed)}")
        store = _Growing(output)
        refuse_stale(store.seen, rows, source, looking, output)
        missing = [(row, sample) for row, sample in rows if not store.seen.get(sample.id)]  # unusable ones: once more
        on_progress(len(rows) - len(missing), len(rows))
        if missing and claim.facts.get(WHOLE) is not None:
            claim.set(WHOLE, None)
        calls = ((pickled, sample, row, source.file, source.images, max_pixels, source.skip) for row, sample in missing)
        for number, (found, seconds) in enumerate(_looked(calls, min(workers, len(missing))), start=1):
            store.add(found, seconds)
            on_progress(len(rows) - len(missing) + number, len(rows))
        if missing or claim.facts.get(WHOLE) is None or file_digest(output / LINES) != claim.facts[WHOLE]:
            store.finish([sample.id for _, sample in rows], claim)
        opened.cache_clear()  # models are large
        return len(missing)


def _looked(calls: Iterator[tuple[Any, ...]], workers: int) -> Iterator[tuple[Located, float]]:
    if workers <= 1:
        yield from (look_at(*call) for call in calls)
        return
    try:
        yield from call_many(look_at, calls, processes=workers)
    except OutOfBoundsError as error:
        raise TrifacetError(f"a process that locates regions ended: {error}; the same command continues") from None


def refuse_stale(
    there: Mapping[str, Mapping[str, str]],
    rows: Sequence[tuple[int, PreferenceSample]],
    source: Source,
    looking: Looking | None,
    folder: Path,
) -> None:
    """Raise DataError for the first sample whose picture, response or given regions are others than those located.

    Args:
        there: the digests that are kept, by sample id; samples without are not looked at.
        rows: samples with their rows.
        source: where they are from.
        looking: what would locate them now (None: not known; what rows give is compared).
        folder: the store's, for the message.
    """
    kept = [(row, sample, there[sample.id]) for row, sample in rows if there.get(sample.id)]
    given = Given(source.images, max_pixels=1)

    def changed(one: tuple[int, PreferenceSample, Mapping[str, str]]) -> Sequence[Difference]:
        row, sample, seen = one
        try:
            picture = source.files.digest(resolve_inside(source.images, sample.image)) if sample.image else None
            if looking is not None:
                return differences(seen, looking.sees(sample, picture))
            now = Looking(None, given).sees(sample, picture)
            now[LETTERING] = json_digest(sample.extra.get(LETTERING))
            return differences(
                {key: seen[key] for key in seen if key in now}, {key: now[key] for key in now if key in seen}
            )
        except TrifacetError as error:
            raise of_sample(sample.id, error, "image", file=source.file, row=row) from None

    with ThreadPoolExecutor(4) as pool:
        for (row, sample, _), found in zip(kept, pool.map(changed, kept), strict=True):
            if found:
                raise DataError(
                    f"sample {sample.id!r} is not the one whose regions {folder} holds: {told(found)}",
                    fix=AGAIN,
                    file=source.file,
                    row=row,
                )


class _Growing:
    """The lines of a store while it grows; ``seen`` are the digests of each sample that is there.

    Lines that are torn or not as they were written are left out: their samples are located again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / LINES
        self.seen: dict[str, dict[str, str]] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._times = {one["id"]: one[SECONDS] for one in _sound_lines(folder / TIMES)}
        sound = self._read()
        if not sound:
            self._keep_sound()

    def _read(self) -> bool:
        """Note where each sample's line is; whether all lines are sound."""
        self.seen, self._places = {}, {}
        if not self.path.exists():
            return True
        at, sound = 0, True
        with self.path.open("rb") as file:
            for line in file:
                row = _of_line(line)
                if row is None:
                    sound = False
                else:
                    self._times[row["id"]] = row.pop(SECONDS, self._times.get(row["id"], 0.0))
                    self.seen[row["id"]], self._places[row["id"]] = row["seen"], (at, len(line))
                at += len(line)
        return sound

    def _keep_sound(self) -> None:
        self._write(list(self._places), with_seconds=True)
        self._read()

    def add(self, found: Located, seconds: float) -> None:
        """Keep what was found for a sample: on disk when this returns."""
        row = found.model_dump(mode="json")
        line = _line({**row, SECONDS: round(seconds, 4)})
        at = self.path.stat().st_size if self.path.exists() else 0
        append_durably(self.path, line)
        self.seen[found.id], self._places[found.id] = row["seen"], (at, len(line))
        self._times[found.id] = round(seconds, 4)

    def finish(self, order: Sequence[str], claim: Claim) -> None:
        """Bring the lines into the order of the data, others after them, and note the digest of the whole."""
        first = list(dict.fromkeys(order))
        chosen = set(first)
        ids = [*first, *(name for name in self._places if name not in chosen)]
        with replacing(self.folder / TIMES) as temporary, temporary.open("wb") as file:
            file.writelines(_line({"id": name, SECONDS: self._times[name]}) for name in ids)
        digest = self._write(ids, with_seconds=False)
        claim.set(WHOLE, digest)
        claim.finish()

    def _write(self, ids: Sequence[str], *, with_seconds: bool) -> str:
        with replacing(self.path) as temporary:
            with temporary.open("wb") as target, self.path.open("rb") as file:
                for name in ids:
                    at, length = self._places[name]
                    file.seek(at)
                    row = _of_line(file.read(length))
                    assert row is not None  # looked at before
                    row.pop(SECONDS, None)
                    target.write(_line(row | ({SECONDS: self._times[name]} if with_seconds else {})))
            return file_digest(temporary)


class Masks:
    """The key regions of samples, by id: what training asks for the union mask of each.

    Args:
        folder: a finished store.
        max_pixels: largest picture.

    Raises:
        TrifacetError: it is none, not finished, or not as it was written.
    """

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        self.folder, self.max_pixels = folder, max_pixels
        self.fingerprint: str = facts_of(folder)[WHOLE]
        self._unions: dict[str, tuple[tuple[int, int] | None, str]] = {}
        self._statuses: dict[str, tuple[Status, float]] = {}
        self._lettering: dict[str, tuple[Lettered, ...]] = {}
        self.seen: dict[str, dict[str, str]] = {}
        for one in read_located(folder):
            self._unions[one.id] = (one.size, one.union if one.status == "located" else "")
            self._statuses[one.id], self.seen[one.id] = (one.status, one.area), one.seen
            if one.status == "located" and one.lettering:
                self._lettering[one.id] = one.lettering

    def __call__(self, sample: PreferenceSample) -> Mask | None:
        """The union of the sample's regions over the picture's own pixels; None: the whole picture has noise.

        Raises:
            DataError: the sample was not looked at.
        """
        if sample.id not in self._unions:
            raise DataError(f"sample {sample.id!r} has no line in {self.folder / LINES}", fix=AGAIN)
        size, mask = self._unions[sample.id]
        return decoded_mask(mask, size, self.max_pixels) if mask else None

    def lettering(self, sample: PreferenceSample) -> tuple[Lettered, ...]:
        """The words that are lettered in the sample's regions, and where; none of regions of anything else."""
        return self._lettering.get(sample.id, ())

    def totals(self, ids: Sequence[str]) -> Totals:
        """How these samples fared."""
        return totals([self._statuses[name] for name in ids if name in self._statuses])


def open_masks(folder: Path, *, max_pixels: int, files: FilesRead) -> Masks:
    """The masks of a store, read once in a run. Raises as ``Masks``."""
    return files.once(folder / LINES, ("regions", max_pixels), lambda: Masks(folder, max_pixels=max_pixels))


def refuse_other(
    folder: Path, source: Source, looking: Looking | None, stated: Sequence[str], *, max_pixels: int, limit: int | None
) -> None:
    """Refuse a store that somebody made before unless it holds what locating now would find.

    Args:
        folder: the store's.
        source: the samples that need it.
        looking: what the recipe would locate them by (None: it does not say).
        stated: which keys of its fingerprint the recipe states.
        max_pixels: largest picture.
        limit: of the samples, the first so many.

    Raises:
        TrifacetError: naming what differs: settings, weights, a picture, a response, or a sample that is missing.
    """
    facts = facts_of(folder)
    if looking is not None:
        there, now = facts["fingerprint"], json.loads(json.dumps(looking.fingerprint()))
        if changed := differences({key: there.get(key) for key in stated}, {key: now[key] for key in stated}):
            raise TrifacetError(f"{folder} holds regions that were located otherwise: {told(changed)}; {AGAIN}")
    masks = open_masks(folder, max_pixels=max_pixels, files=source.files)
    rows = rows_of(source, limit)
    for row, sample in rows:
        if sample.id not in masks.seen:
            raise DataError(
                f"sample {sample.id!r} has no line in {folder / LINES}", fix=AGAIN, file=source.file, row=row
            )
    refuse_stale(masks.seen, rows, source, looking if "locator" in stated else None, folder)


def facts_of(folder: Path) -> dict[str, Any]:
    """What the mark of a finished store says, its lines being as they were written.

    Raises:
        TrifacetError: there is none, it is not finished, or is damaged.
    """
    if not (folder / MARK).is_file():
        raise TrifacetError(f"{folder} holds no located regions (no {MARK}); make them with 'trifacet regions'")
    facts = read_document(folder / MARK, AGAIN)
    if not isinstance(facts.get("fingerprint"), dict) or not isinstance(facts.get(WHOLE), str):
        raise TrifacetError(f"{folder}: locating is not finished; the same 'trifacet regions' continues it")
    if not (folder / LINES).is_file() or file_digest(folder / LINES) != facts[WHOLE]:
        raise TrifacetError(f"{folder / LINES} is not as it was written; the same 'trifacet regions' mends it")
    return facts


def read_located(folder: Path) -> Iterator[Located]:
    """The lines of a store. Raises DataError for one that is none."""
    for number, row in enumerate(_lines(folder / LINES), start=1):
        try:
            yield Located.model_validate_json(json.dumps({key: one for key, one in row.items() if key != SECONDS}))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise DataError(first["msg"], fix=AGAIN, file=folder / LINES, row=number, field=field) from None


def read_seconds(folder: Path) -> dict[str, float]:
    """How long each sample took, as far as that is known."""
    return {one["id"]: float(one[SECONDS]) for one in _sound_lines(folder / TIMES)}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with opened_file(path) as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if (row := _of_line(line)) is None:
                raise DataError("is not as it was written", fix=AGAIN, file=path, row=number)
            yield row


def _sound_lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        with path.open("rb") as file:
            yield from filter(None, map(_of_line, file))


def _of_line(line: bytes) -> dict[str, Any] | None:
    """The row of a sealed line; None where it is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    sound = unsealed(row) if isinstance(row, dict) and "seal" in row else None
    return sound if sound is not None and isinstance(sound.get("id"), str) else None


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(sealed(row), ensure_ascii=False).encode() + b"\n"
