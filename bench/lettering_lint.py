"""What lint's rules about words in pictures find on the 20 Pinterest posts, and in claims of which the truth is known.

The claims: what stands in 17 of the pictures, written down by a person who looked at them, in a text that says so; and
the same with one word exchanged, in turn each number (by the next one) and each other word (by one of another picture).

    python bench/lettering_lint.py ../shared/data/pinterest
    python bench/lettering_lint.py --captions       # the claims found in the 16,000 captions of bench/taggers.py
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parity.row import DATA
from taggers import texts

from trifacet.lettering.claims import claimed
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import Readings
from trifacet.lettering.settings import Reading
from trifacet.lint import RULES, lint_text

NAMES = [rule.name for rule in RULES if rule.reads]
LETTERED = {  # by the beginning of the picture's name
    "146ec7": "Born This Way",
    "15cef5": "A Farewell to Arms by Ernest Hemingway",
    "49911e": "Instagram Hastags for Everyday Use",
    "568a26": "A Compendium of 4,000 Middle-Class German Citizens 1250-1850 Volume 1 Frederick George Siler",
    "70f822": "over laundry and dishes I offer humble greetings",
    "b1481e": "Top 10 Best Restaurants in Bangalore",
    "e5a378": "No access without protective clothing",
    "eab371": "8 Ways to Become a Happier Person and enjoy life",
    "06a82d": "The Meridian System",
    "09009a": "Greek Yogurt 20 minutes pizza",
    "2daa69": "30 Beginner Japanese Recipes",
    "4ffaa1": "Soft & Chewy Peach Mochi",
    "51db70": "Melt-In-Your-Mouth Italian Meatballs",
    "5e99e6": "Tuna Deopbap Korean Tuna Rice Bowl",
    "87c14e": "Hot Cheeto Mozzarella Sticks",
    "93ef6d": "The Best Dumpling Sauce",
    "dd37ad": "fluffy Buttermilk Pancakes",
}
_WORD = re.compile(r"\d[\d,]*|[A-Za-z]{4,}")


def posts(folder: Path) -> Iterator[dict[str, Any]]:
    """The posts of both files."""
    with (folder / "pinterest_test.json").open(encoding="utf-8") as file:
        yield from map(json.loads, file)
    yield from json.loads((folder / "pinterest_train.json").read_text(encoding="utf-8"))


def exchanged(text: str, others: list[str]) -> Iterator[tuple[str, str]]:
    """(kind, text with one word exchanged): each number by the next one, each other word by one of another picture."""
    for number, found in enumerate(_WORD.finditer(text)):
        word = found[0]
        if word[0].isdigit():
            kind, new = "number", f"{int(word.replace(',', '')) + 1:,}" if "," in word else str(int(word) + 1)
        else:
            kind, new = "word", others[number % len(others)]
        yield kind, text[: found.start()] + new + text[found.end() :]


def findings(text: str, lettering: Lettering, context: str | None = None) -> dict[str, str]:
    """What the rules find, by their names."""
    return {one.rule: one.found for one in lint_text(text, context=context, lettering=lettering) if one.rule in NAMES}


def list_claims() -> None:
    """Print what captions claim to be lettered, for somebody to judge."""
    looked, seen = 0, set[tuple[str, bool]]()
    for _, captions in texts(DATA):
        for caption in captions:
            looked += 1
            for claim in claimed(caption):
                first, last = claim.span
                around = f"{caption[max(first - 50, 0) : first]}[{claim.text}]{caption[last : last + 25]}"
                seen.add((" ".join(around.split()), claim.led))
    for around, led in sorted(seen, key=lambda one: one[1]):
        print("led   " if led else "quoted", around)
    print(f"{looked} captions, {len(seen)} claims, {sum(led for _, led in seen)} of them led")


def main() -> None:
    """Print the findings on the posts, then the counts of the claims."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("posts", type=Path, nargs="?", help="folder of the Pinterest posts")
    parser.add_argument("--captions", action="store_true", help="list claims with what stands around them, each once")
    parser.add_argument("--cache", type=Path, help="where readings are kept")
    arguments = parser.parse_args()
    if arguments.captions:
        list_claims()
        return
    readings = Readings(Reading(), arguments.cache)
    pictures = {path.name: readings.of(path) for path in sorted((arguments.posts / "image").glob("*/*"))}
    for kind, beside in (("chosen", True), ("chosen", False), ("rejected", True), ("rejected", False)):
        rows = [row for row in posts(arguments.posts) if row.get(kind)]
        print(f"{kind} texts{' with their posts' if beside else ' alone'}: {len(rows)}")
        for row in rows:
            context = row["question"].partition("context:\n")[2] if beside else None
            for rule, found in findings(row[kind], pictures[row["image_path"]], context).items():
                print(f"  {row['image_path'][:6]} {rule}: {found}")
    counts: Counter[tuple[str, bool]] = Counter()
    for name, lettering in pictures.items():
        true = LETTERED.get(name[:6])
        others = [
            word for key, text in LETTERED.items() if key != name[:6] for word in re.findall("[A-Za-z]{5,}", text)
        ]
        claims = [("no lettering", other) for other in LETTERED.values()]
        if true is not None:
            claims = [("true", true), *exchanged(true, others)]
        for kind, claim in claims:
            found = findings(f'A picture with the words "{claim}".', lettering)
            counts[kind, NAMES[1] in found] += 1
            if (NAMES[1] in found) == (kind == "true"):
                print(f"  {name[:6]} {kind}, {'called invented' if kind == 'true' else 'not found'}: {claim}")
    for kind in dict.fromkeys(kind for kind, _ in counts):
        print(f"{kind}: {counts[kind, True]} of {counts[kind, True] + counts[kind, False]} claims called invented")


if __name__ == "__main__":
    main()
