"""Makes the file of synonyms that METEOR reads where no WordNet is installed, from WordNet 3.0's own database.

Debian and Ubuntu have the database: ``apt-get install wordnet-base``, then ``python tools/wordnet_synonyms.py``. The
same database gives the same bytes.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

DEBIAN_FOLDER = Path("/usr/share/wordnet")
OUTPUT = Path(__file__).parents[1] / "src" / "trifacet" / "metrics" / "data" / "wordnet.txt"

ABOUT = """\
The words of WordNet 3.0's synonym sets and its lists of irregular forms, without its definitions and relations.
Made by tools/wordnet_synonyms.py. Below WordNet's licence stand eight parts with an empty line between them: for nouns,
verbs, adjectives and adverbs each the distinct synonym sets, one a line, then the irregular forms, each with its base
forms."""


def synonyms(source: Path) -> str:
    """The file's text: what it is, the licence, two empty lines, the parts."""
    parts = []
    for name in ("noun", "verb", "adj", "adv"):
        _, lines = _data(source, name)
        parts.append("\n".join(sorted({_words(line) for line in lines})))
        irregular = (source / f"{name}.exc").read_text(encoding="ascii").splitlines()
        parts.append("\n".join(" ".join(line.split()) for line in irregular))
    licence, _ = _data(source, "noun")
    return f"{ABOUT}\n\n{licence}\n\n\n" + "\n\n".join(parts) + "\n"


def _data(source: Path, name: str) -> tuple[str, list[str]]:
    """The licence that a data file opens with, in numbered lines, and its lines with a synonym set each."""
    lines = (source / f"data.{name}").read_text(encoding="ascii").splitlines()
    licence = [re.sub(r"^ +\d+ ", "", line).rstrip() for line in lines if line.startswith("  ")]
    return "\n".join(licence), [line for line in lines if not line.startswith("  ")]


def _words(line: str) -> str:
    """The words of a synonym set, without the markers for an adjective's place such as ``(p)``."""
    fields = line.split()
    count = int(fields[3], 16)
    return " ".join(re.sub(r"\([^()]*\)$", "", word) for word in fields[4 : 4 + 2 * count : 2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=DEBIAN_FOLDER, help="the database's folder (%(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file to write (%(default)s)")
    arguments = parser.parse_args()
    arguments.output.write_text(synonyms(arguments.source), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
