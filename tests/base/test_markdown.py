"""Texts of others are themselves in Markdown, wherever they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from trifacet.base.markdown import markdown_text

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PLACES = ("{}\n", "* {}\n", "# {}\n", "| a | {} |\n|---|---|\n| {} | b |\n", "Models: {}, and more\n")
PIECES = (
    "\\", "`", "*", "_", "~~", "[x](javascript:y)", "<b>", "&lt;", "&#60;", "#", "1.", "12)", "-", "+", "=", "|", "!",
    ":cat:", "\n", "\t", "a", " ", "\u2069", "\u202e", "---", "> ", "<!--", "$x$",
)  # fmt: skip


def seen(text):
    """The text without what is not printed, or is put in its place."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable() and char != "\ufffd").strip()


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=40))
def test_a_text_is_itself_in_every_place(text):
    for place in PLACES:
        page = place.replace("{}", markdown_text(text))
        said = [token for token in PARSER.parse(page) if token.type == "inline"]
        kinds = {child.type for token in said for child in token.children or ()}
        assert kinds <= {"text", "text_special"}
        words = "\n".join("".join(child.content for child in token.children or ()) for token in said)
        assert seen(text) in seen(words)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("~~gone~~", r"\~\~gone\~\~"),
        ("https://evil.example", r"https\://evil.example"),
        ("www.evil.example", r"www\.evil.example"),
        ("@someone, a@b.example", r"\@someone, a\@b.example"),
        (":cat: at 10:20", r"\:cat: at 10:20"),
        ("2024. was a year", r"2024\. was a year"),
        ("AT&T &copy;", "AT&T &amp;copy;"),
        ("\u05d0\u05d1 a\u2069b", "\u05d0\u05d1 a\ufffdb"),
    ],
)
def test_what_sites_make_more_of_is_written_out(text, written):
    assert markdown_text(text) == written
