"""Which suggestions somebody wants to see, as a page's address says it.

Invariant: what an address says in no known way counts as not said; every filter stands in the address that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from trifacet.describing.place import ROLES
from trifacet.describing.queue import OPEN, QUEUE_STATES, Suggestion

STATES = ("open", "all", *QUEUE_STATES)
_LONGEST = 200  # characters of what is sought


@dataclass(frozen=True)
class Filters:
    """``state``: one of ``STATES``; ``document``, ``sought``: in its path, in its texts; ``finding``: a rule's name."""

    state: str = "open"
    role: str = ""
    finding: str = ""
    document: str = ""
    sought: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Filters:
        """What an address or a form says."""
        said = {name: fields.get(name, "").strip()[:_LONGEST] for name in ("role", "finding", "document", "sought")}
        if said["role"] not in ROLES:
            said["role"] = ""
        state = fields.get("state", "")
        return cls(state if state in STATES else "open", **said)

    @property
    def said(self) -> dict[str, str]:
        """Those that are set, by their names."""
        return {name: value for name, value in asdict(self).items() if value and (name, value) != ("state", "open")}

    @property
    def query(self) -> str:
        """For the end of an address: "?state=...", or "" for none."""
        return f"?{urlencode(self.said, errors='replace')}" if self.said else ""

    def fits(self, one: Suggestion) -> bool:
        """Whether somebody wants to see it."""
        place = one.proposal.place
        return (
            (self.state in ("all", one.state) or (self.state == "open" and one.state in OPEN))
            and (not self.role or place.role == self.role)
            and (not self.finding or any(finding.rule == self.finding for finding in one.proposal.findings))
            and self.document.casefold() in one.proposal.document.casefold()
            and (not self.sought or self.sought.casefold() in _words(one).casefold())
        )


def _words(one: Suggestion) -> str:
    place = one.proposal.place
    around = place.around
    own = (one.text, one.long, one.proposal.text, place.alt or "", place.picture.address[:2000], place.picture.file)
    return "\n".join(
        (*own, around.caption, around.page, around.before, around.after, around.link_text, *around.headings)
    )
