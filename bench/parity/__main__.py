"""Print "ours / official / difference" for every metric, as Markdown; exit code 1 where one is too far apart.

make parity                                         # the data at ../shared/data, or $TRIFACET_PARITY_DATA
python bench/parity --only captions,tokens
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import parity
from parity.row import DATA, Row
from trifacet.base.files import write_atomically
from trifacet.settings.tables import with_table

MARK = "<!-- parity -->"


def _line(row: Row) -> str:
    mark = "" if row.holds else " **differs**"
    return (
        f"| {row.metric} | {row.data} | {row.ours:.12g} | {row.official:.12g} | {row.difference:.2g}{mark} "
        f"| {row.tolerance:.2g} |"
    )


def _summary(rows: Sequence[Row]) -> list[str]:
    """A line for data sets with the same metrics: how many comparisons, how far apart and what is allowed."""
    lines = ["| data | metrics | compared | largest difference | allowed |", "|---|---|---:|---:|---:|"]
    alike: dict[str, list[Row]] = {}
    for data in dict.fromkeys(row.data for row in rows):
        mine = [row for row in rows if row.data == data]
        metrics = dict.fromkeys(row.metric.partition(",")[0].split(" ")[0] for row in mine)
        alike.setdefault(", ".join(metrics), []).extend(mine)
    for names, mine in alike.items():
        data = "; ".join(dict.fromkeys(row.data for row in mine))
        mark = "" if all(row.holds for row in mine) else " **differs**"
        farthest, allowed = max(row.difference for row in mine), max(row.tolerance for row in mine)
        lines.append(f"| {data} | {names} | {len(mine)} | {farthest:.2g}{mark} | {allowed:.2g} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = sorted({module.name for module in pkgutil.iter_modules(parity.__path__)} - {"__main__", "row"})
    parser.add_argument("--only", default=",".join(parts), help=f"parts, separated by commas: {', '.join(parts)}")
    parser.add_argument("--page", type=Path, help="a Markdown page with a place for a summary")
    arguments = parser.parse_args()
    wanted = [part for part in arguments.only.split(",") if part]
    if not DATA.is_dir() and set(wanted) - {"act"}:  # whose situations are ours
        print(f"the data are not at {DATA}; name their folder in TRIFACET_PARITY_DATA", file=sys.stderr)
        return 2
    print("| metric | data | ours | official | difference | allowed |\n|---|---|---:|---:|---:|---:|")
    rows: list[Row] = []
    for part in wanted:
        for row in importlib.import_module(f"parity.{part}").rows(DATA):
            rows.append(row)
            print(_line(row), flush=True)
    failed = sum(not row.holds for row in rows)
    total = ["", f"{len(rows)} comparisons, {failed} beyond what is allowed"]
    print("\n".join(total))
    if arguments.page:
        made = "\n".join([*_summary(rows), *total])
        write_atomically(arguments.page, with_table(arguments.page.read_text(encoding="utf-8"), made, MARK))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
