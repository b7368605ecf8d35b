"""Print "ours / official / difference" for every metric, as Markdown; exit code 1 where one is too far apart.

make parity                                         # the data at ../shared/data, or $TRIFACET_PARITY_DATA
python benchmarks/parity --only captions,tokens
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import parity
from parity.row import DATA, Row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = sorted({module.name for module in pkgutil.iter_modules(parity.__path__)} - {"__main__", "row"})
    parser.add_argument("--only", default=",".join(parts), help=f"parts, separated by commas: {', '.join(parts)}")
    wanted = [part for part in parser.parse_args().only.split(",") if part]
    if not DATA.is_dir():
        print(f"the data are not at {DATA}; name their folder in TRIFACET_PARITY_DATA", file=sys.stderr)
        return 2
    print("| metric | data | ours | official | difference | allowed |\n|---|---|---:|---:|---:|---:|")
    rows: list[Row] = []
    for part in wanted:
        for row in importlib.import_module(f"parity.{part}").rows(DATA):
            rows.append(row)
            mark = "" if row.holds else " **differs**"
            print(
                f"| {row.metric} | {row.data} | {row.ours:.12g} | {row.official:.12g} | {row.difference:.2g}{mark} "
                f"| {row.tolerance:.2g} |",
                flush=True,
            )
    failed = sum(not row.holds for row in rows)
    print(f"\n{len(rows)} comparisons, {failed} beyond what is allowed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
