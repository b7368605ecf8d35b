"""The index over studies, as a page and as Markdown, from its document.

Invariant: every claim of every study stands there with its verdict; a study that is only begun is told as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from trifacet.base.markdown import markdown_text
from trifacet.reports.study.page import SIGNS
from trifacet.reports.words import duration
from trifacet.web.page import render_page


def index_page(document: Mapping[str, Any]) -> str:
    """The page as text; links are relative to the folder that it lies in."""
    filters = {"sign": sign, "duration": duration, "counted": counted, "link": _link}
    return render_page(__name__, "index.html.jinja", filters, doc=document)


def sign(verdict: str) -> str:
    """The verdict's sign."""
    return SIGNS.get(verdict, "?")


def counted(verdicts: Mapping[str, int]) -> str:
    """How many claims hold, do not, cannot be told."""
    return ", ".join(f"{one} {verdicts[one]}" for one in SIGNS if verdicts.get(one)) or "no claims told yet"


def index_markdown(document: Mapping[str, Any]) -> str:
    """The same as Markdown: a table of studies, then one of claims."""
    lines = ["## Studies", "", "| Study | Asks | Cells x seeds | State | Verdicts |", "|---|---|---:|---|---|"]
    for one in document["studies"]:
        name = markdown_text(_named(one))
        name = f"[{name}]({_link(one['link'])})" if one["link"] else name
        cells = (one["title"], f"{one['cells']} x {one['seeds']}", one["state"], counted(one["verdicts"]))
        lines.append(f"| {name} | {' | '.join(map(markdown_text, cells))} |")
    lines += ["", "| Study | Claim | Verdict | Of what |", "|---|---|---|---|"]
    for one in document["studies"]:
        rows = [(claim["statement"], claim) for claim in one["claims"]]
        rows += [(f"people prefer {pair['cell']} to {pair['other']}", pair) for pair in one["people"]]
        for statement, claim in rows:
            what = claim.get("source") or claim.get("text") or claim["why"]
            cells = (_named(one), statement, f"{sign(claim['verdict'])} {claim['verdict']}", what)
            lines.append(f"| {' | '.join(map(markdown_text, cells))} |")
    lines += ["", *(markdown_text(problem) for problem in document["problems"])]
    return "\n".join(lines) + "\n"


def _named(one: Mapping[str, Any]) -> str:
    return f"{one['study']}, {one['budget']}" if one["budget"] else str(one["study"])


def _link(path: str) -> str:
    return quote(str(PurePosixPath(path)))
