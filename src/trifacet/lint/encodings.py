"""Bytes of a page to text, as browsers decode a file of the disk.

Invariant: a label of the page chooses among the encodings of the web only (never another codec of Python's), and no
page fails: bytes that the encoding does not know become U+FFFD.
"""

from __future__ import annotations

import codecs
import re

_PRESCANNED = 1024  # bytes in which browsers look for a declaration
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_DECLARED = re.compile(
    rb"^\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]+)|<meta\s[^>]*?charset\s*=[\"'\s]*([\w.:-]+)", re.IGNORECASE
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# What Python calls the encodings of the WHATWG's standard: those that browsers read as a wider one, and the others.
_READ_AS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs",
    "utf-16": "utf-8", "utf-16-le": "utf-8", "utf-16-be": "utf-8",  # the declaration was read as ASCII, so it is none
}  # fmt: skip
_KNOWN = frozenset(
    re.findall(
        r"\S+",
        "utf-8 cp866 cp874 cp932 cp949 gb18030 big5hkscs euc_jp iso2022_jp koi8-r koi8-u mac-roman mac-cyrillic "
        "iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14 "
        "iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258",
    )
)


def page_text(data: bytes) -> str:
    """The text of a page: by its mark, else its declaration, else UTF-8 where it is that, else windows-1252."""
    mark, encoding = page_encoding(data)
    return data[len(mark) :].decode(encoding, "replace")


def page_encoding(data: bytes) -> tuple[bytes, str]:
    """The mark that a page begins with, b"" for none, and Python's name of the encoding of what follows."""
    if marked := marked_encoding(data):
        return marked
    found = _DECLARED.search(_COMMENT.sub(b"", data[:_PRESCANNED]))
    if found is not None and (encoding := _encoding(found[1] or found[2])):
        return b"", encoding
    try:
        data.decode()  # most pages, also where they do not say so
    except UnicodeDecodeError:
        return b"", "cp1252"
    return b"", "utf-8"


def marked_encoding(data: bytes) -> tuple[bytes, str] | None:
    """Mark and encoding of a text that begins with a mark."""
    return next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), None)


def _encoding(label: bytes) -> str | None:
    """Python's codec for a label of the web such as "x-sjis" or "windows-949"; None for what browsers do not know."""
    name = label.decode("ascii", "replace").lower()
    for spelling in (name, name.removeprefix("x-"), re.sub("^(windows|dos|x-cp)-?", "cp", name)):
        try:
            codec = codecs.lookup(spelling).name
        except LookupError:
            continue
        read_as = _READ_AS.get(codec, codec)
        return read_as if read_as in _KNOWN else None
    return None
