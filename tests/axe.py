"""Looking at a page as a browser does: axe-core's findings, and whether the page scrolls sideways.

Chromium runs a copy of the page with axe in it, in a frame of the asked width (its windows are at least 500 px
wide), and dumps what axe found. The copy lacks the page's Content-Security-Policy, which would rightly keep axe out.
"""

from __future__ import annotations

import base64
import html
import importlib.util
import json
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_CSP = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>', re.IGNORECASE)
_RUN = """
<script>%s</script>
<script>
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach(folded => folded.open = true);
  let found;
  try {
    const result = await axe.run(document, {resultTypes: ["violations"]});
    const root = document.documentElement;
    found = {violations: result.violations, rules: result.passes.length,
             page: root.scrollWidth, frame: root.clientWidth,
             dark: matchMedia("(prefers-color-scheme: dark)").matches};
  } catch (error) { found = {error: String(error)}; }
  parent.postMessage(JSON.stringify(found), "*");
});
</script>
"""
_FRAME = """<!doctype html><meta name="color-scheme" content="light dark">
<iframe src="%s" style="width:%dpx;height:900px;border:0;color-scheme:inherit"></iframe>
<script>addEventListener("message", message => {
  const bytes = new TextEncoder().encode(message.data);
  const found = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
  document.body.innerHTML = "<pre id=found>" + found + "</pre>";
});</script>
"""


def axe_violations(path: Path, width: int, *, dark: bool = False) -> list[dict[str, Any]]:
    """axe-core's violations on the page ``path`` in a viewport ``width`` pixels wide; folded parts are opened first.

    Skips the test where chromium or axe-core (package axe-playwright-python) is absent.
    """
    return inspect_page(path, width, dark=dark)["violations"]


def inspect_page(path: Path, width: int, *, dark: bool = False) -> dict[str, Any]:
    """{"violations", "rules" (number of rules passed), "page" and "frame" (widths in px), "dark"} of a page."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    page = _CSP.sub("", path.read_text(encoding="utf-8"))
    script = _axe_source().replace("</script", "<\\\\/script")
    with tempfile.TemporaryDirectory(prefix="trifacet-axe-") as temporary:
        copy, frame = Path(temporary) / "page.html", Path(temporary) / "frame.html"
        base = f'<base href="{html.escape(path.resolve().parent.as_uri())}/">'
        copy.write_text(page.replace("<head>", f"<head>{base}", 1) + _RUN % script, encoding="utf-8")
        frame.write_text(_FRAME % (copy.as_uri(), width), encoding="utf-8")
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-background-networking", f"--user-data-dir={temporary}/profile",
            f"--window-size={max(width, 500) + 40},1000", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--virtual-time-budget=60000", "--timeout=60000", "--dump-dom", frame.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=120, check=False
        )
    match = re.search(r'<pre id="found">([^<]*)</pre>', done.stdout)
    if match is None:
        raise AssertionError(f"axe gave no result (chromium left with {done.returncode}): {done.stderr[-500:]}")
    found: dict[str, Any] = json.loads(base64.b64decode(match.group(1)))
    if "error" in found:
        raise AssertionError(f"axe failed: {found['error']}")
    return found


def brief(violations: list[dict[str, Any]]) -> list[str]:
    """One line for each element that breaks a rule, to be read in a failed assertion."""
    return [
        f"{broken['id']}: {node['target']} {node['html'][:120]}" for broken in violations for node in broken["nodes"]
    ]


@cache
def _axe_source() -> str:
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("axe-core is not installed (pip install axe-playwright-python)")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
