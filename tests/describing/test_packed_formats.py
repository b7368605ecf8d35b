"""Word, PowerPoint and EPUB: what is found, and that edits change the texts and no other byte."""

import io
import struct
import zipfile

import packed_documents as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import DataError
from trifacet.describing.formats import epub, slides, word
from trifacet.describing.place import Edit

TEXTS = st.text(st.sampled_from("ab \"'<>&]é日\U0001f600\n;x"), min_size=1, max_size=20).filter(str.strip)
WORD = "word/document.xml"


def raw_members(data):
    """Each member's bytes in the archive with its local header, by name."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    infos = archive.infolist()
    ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
    return {info.filename: data[info.header_offset : end] for info, end in zip(infos, ends, strict=True)}


def one(format, data, path="a"):
    return list(format.places(data, path))


def test_word_tells_what_is_around():
    data = made.word(
        made.paragraph("Zahlen", "berschrift1"),
        made.paragraph("Vor dem Bild."),
        made.paragraph(made.drawing(1, "Ein Hund")),
        made.paragraph("Bild 1: Rex", "Beschriftung"),
        made.paragraph("Danach."),
        made.paragraph(made.drawing(2, None, link="x")),
        made.paragraph(made.drawing(3, None, decorative=True)),
        made.paragraph(made.drawing(4, "")),
    )
    first, linked, decorative, empty = one(word.FORMAT, data)
    around = first.around
    assert (first.alt, first.state, first.picture.file) == ("Ein Hund", "text", "word/media/image1.png")
    assert (around.headings, around.before, around.after) == (("Zahlen",), "Vor dem Bild.", "Danach.")
    assert (around.caption, around.page, around.language) == ("Bild 1: Rex", "Bericht", "de-DE")
    assert (linked.role, linked.around.link, linked.state) == ("functional", "https://example.org/more", "missing")
    assert (decorative.role, decorative.state, decorative.alt) == ("decorative", "empty", "")
    assert (empty.state, empty.alt) == ("missing", None)  # Word itself takes it for none
    assert [place.key for place in (first, linked)] == [f"{WORD}#0", f"{WORD}#1"]


def test_what_stands_twice_for_older_programs_is_one_place():
    new, old = (
        made.drawing(1, "A dog"),
        '<w:r><w:pict><v:shape alt="A dog"><v:imagedata r:id="rPic"/></v:shape></w:pict></w:r>',
    )
    choice = f"<mc:Choice>{new}</mc:Choice><mc:Fallback>{old}</mc:Fallback>"
    both = f"<w:r><mc:AlternateContent>{choice}</mc:AlternateContent></w:r>"
    assert len(one(word.FORMAT, made.word(made.paragraph(both)))) == 1
    (place,) = one(word.FORMAT, made.word(made.paragraph(old)))
    assert place.alt == "A dog"
    after = word.FORMAT.edited(made.word(made.paragraph(old)), "a", {place.key: Edit("A cat")})
    assert after == made.word(made.paragraph(old.replace("A dog", "A cat")))


@searched(30)
@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=5), st.data())
def test_word_changes_the_texts_and_nothing_else(alts, data):
    def document(alts):
        return made.word(*(made.paragraph(made.drawing(number, alt)) for number, alt in enumerate(alts)))

    before = document(alts)
    which = data.draw(st.sets(st.sampled_from(range(len(alts))), min_size=1))
    new = [data.draw(TEXTS) if number in which else alt for number, alt in enumerate(alts)]
    after = word.FORMAT.edited(before, "a", {f"{WORD}#{number}": Edit(new[number]) for number in which})
    assert [place.alt for place in one(word.FORMAT, after)] == new
    assert after == document(new)  # all of it: headers, order, time stamps, compressed bytes
    if None not in alts:
        back = {f"{WORD}#{number}": Edit(alt) for number, alt in enumerate(alts)}
        assert word.FORMAT.edited(after, "a", back) == before


@pytest.mark.parametrize("alt", [None, "", "A dog"])
def test_word_marks_what_is_decorative_and_takes_the_mark_off(alt):
    before = made.word(made.paragraph(made.drawing(1, alt)))
    after = word.FORMAT.edited(before, "a", {f"{WORD}#0": Edit("")})
    (place,) = one(word.FORMAT, after)
    assert (place.alt, place.state, place.role) == ("", "empty", "decorative")
    again = word.FORMAT.edited(after, "a", {f"{WORD}#0": Edit("A hen")})
    assert one(word.FORMAT, again)[0].alt == "A hen"
    assert b'val="0"' in zipfile.ZipFile(io.BytesIO(again)).read(WORD)


@pytest.mark.parametrize(
    "end", ["<a:extLst/></wp:docPr>", '<a:extLst><a:ext uri="x"/></a:extLst></wp:docPr>', "</wp:docPr>"]
)
def test_the_mark_joins_other_extensions(end):
    before = made.word(made.paragraph(made.drawing(1, "A dog").replace("/>", f">{end}", 1)))
    after = word.FORMAT.edited(before, "a", {f"{WORD}#0": Edit("")})
    assert one(word.FORMAT, after)[0].role == "decorative"
    assert zipfile.ZipFile(io.BytesIO(after)).read(WORD).count(b"<a:extLst") == 1


def test_slides_tell_title_words_and_marks():
    data = made.slides(made.slide_picture(1, None), made.slide_picture(2, "A chart", decorative=True))
    first, second = one(slides.FORMAT, data)
    assert (first.state, first.around.headings, first.around.before) == ("missing", ("Quarter",), "We grew.")
    assert (first.picture.file, first.around.language) == ("ppt/media/image1.png", "en-GB")
    assert (second.state, second.alt) == ("empty", "")
    after = slides.FORMAT.edited(data, "a", {first.key: Edit('A "bar" chart')})
    assert after == made.slides(
        made.slide_picture(1, None).replace('name="P1"', 'name="P1" descr="A &quot;bar&quot; chart"'),
        made.slide_picture(2, "A chart", decorative=True),
    )


def test_a_signed_document_is_listed_and_stays():
    data = made.word(made.paragraph(made.drawing(1, None)), extra={"_xmlsignatures/origin.sigs": ""})
    (place,) = one(word.FORMAT, data)
    assert "signed" in place.fixed
    with pytest.raises(DataError, match="signed"):
        word.FORMAT.edited(data, "a", {place.key: Edit("x")})


# --- EPUB -------------------------------------------------------------------------------------------------------


def test_a_book_is_read_in_its_order():
    data = made.epub(made.page(made.img("A dog"), title="One"), made.page(made.img(None), title="Two"), spine=[1, 0])
    second, first = one(epub.FORMAT, data)
    assert [place.around.page for place in (first, second)] == ["One", "Two"]
    assert (first.picture.file, first.around.language, first.alt) == ("OPS/img/a.png", "fr", "A dog")
    assert second.state == "missing" and second.key.startswith("OPS/text/p1.xhtml#img@")


LINES = TEXTS.filter(lambda text: "\n" not in text)


@searched(30)
@given(st.lists(st.lists(LINES, max_size=3), min_size=1, max_size=4), st.data())
def test_a_book_changes_its_texts_and_nothing_else(alts, data):
    def book(alts):
        return made.epub(*(made.page(*map(made.img, some)) for some in alts))

    before = book(alts)
    places = one(epub.FORMAT, before)
    flat = [alt for some in alts for alt in some]
    assert [place.alt for place in places] == flat
    new = [data.draw(st.one_of(st.none(), LINES)) for _ in flat]
    edits = {place.key: Edit(alt) for place, alt in zip(places, new, strict=True) if alt is not None}
    after = epub.FORMAT.edited(before, "a", edits)
    told = iter(alt if alt is not None else old for alt, old in zip(new, flat, strict=True))
    expected = book([[next(told) for _ in some] for some in alts])
    assert after == expected  # all of it: headers, order, time stamps, compressed bytes
    assert raw_members(after)["mimetype"] == raw_members(before)["mimetype"]


def test_the_first_member_stays_first_and_stored():
    data = made.epub(made.page(made.img(None)))
    (place,) = one(epub.FORMAT, data)
    after = epub.FORMAT.edited(data, "a", {place.key: Edit("A dog")})
    assert after[:38] == data[:38] == b"PK\3\4" + data[4:30] + b"mimetype"
    assert after[38:58] == b"application/epub+zip"


def test_a_drawing_as_a_page_and_a_locked_page():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><title>A map</title></svg>'
    data = made.epub(made.page(made.img("x")), extra={"OPS/map.svg": svg})
    data = replaced(data, "OPS/book.opf", lambda text: text.replace(
        b"<manifest>", b'<manifest><item id="m" href="map.svg" media-type="image/svg+xml"/>').replace(
        b"<spine>", b'<spine><itemref idref="m"/>'))  # fmt: skip
    drawing, _ = one(epub.FORMAT, data)
    assert drawing.picture.source == "svg" and "drawing" in drawing.fixed
    locked = '<encryption xmlns:e="e"><e:CipherReference URI="OPS/text/p0.xhtml"/></encryption>'
    with pytest.raises(DataError, match="encrypted"):
        one(epub.FORMAT, made.epub(made.page(made.img("x")), extra={"META-INF/encryption.xml": locked}))


def replaced(data, name, change):
    archive = zipfile.ZipFile(io.BytesIO(data))
    return made.zipped({info.filename: change(archive.read(info)) if info.filename == name else archive.read(info)
                        for info in archive.infolist()}, stored=("mimetype",))  # fmt: skip


# --- archives of other makers -----------------------------------------------------------------------------------


def streamed(data):
    """The archive as a program writes it that can't go back: sizes and checksums stand behind the data."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.parts = []

        def writable(self):
            return True

        def write(self, part):
            self.parts.append(bytes(part))
            return len(part)

    pipe = Pipe()
    old = zipfile.ZipFile(io.BytesIO(data))
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for info in old.infolist():
            archive.writestr(
                zipfile.ZipInfo(info.filename, (2001, 2, 3, 4, 5, 6)), old.read(info), zipfile.ZIP_DEFLATED
            )
        archive.comment = b"made by a pipe"
    return b"".join(pipe.parts)


def with_extra(data):
    """With extra fields in the local headers and the directory, and comments."""
    old, file = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for info in old.infolist():
            new = zipfile.ZipInfo(info.filename, (1999, 1, 1, 0, 0, 0))
            new.extra, new.comment, new.compress_type = b"\xfe\xca\x02\x00ab", b"c", info.compress_type
            new.external_attr = 0o100600 << 16
            archive.writestr(new, old.read(info), compresslevel=9)
        archive.comment = b"of the archive"
    return file.getvalue()


@pytest.mark.parametrize("make", [lambda data: data, streamed, with_extra])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_archives_of_other_makers(make, level):
    data = make(made.word(made.paragraph(made.drawing(1, "A dog")), level=level))
    after = word.FORMAT.edited(data, "a", {f"{WORD}#0": Edit("A dog that runs over a long meadow")})
    assert zipfile.ZipFile(io.BytesIO(after)).testzip() is None
    old, new = raw_members(data), raw_members(after)
    assert [name for name in old if old[name] != new[name]] == [WORD]
    assert word.FORMAT.edited(after, "a", {f"{WORD}#0": Edit("A dog")}) == data


# --- hostile ----------------------------------------------------------------------------------------------------


def hostile():
    good = made.word(made.paragraph(made.drawing(1, None)))
    yield "empty", b"", "no sound zip"
    yield "truncated", good[: len(good) // 2], "no sound zip"
    yield "garbage", b"PK\3\4" + bytes(500), "no sound zip"
    yield "no main part", made.zipped({"_rels/.rels": made.relations()}), "names no main part"
    bomb = made.word(made.paragraph("x" * 40_000_000))
    yield "bomb", bomb, "swells"
    yield "climbing", made.word(extra={"../evil": "x"}), "lie outside"
    yield "absolute", made.word(extra={"/etc/evil": "x"}), "lie outside"
    entity = f'<!DOCTYPE x [<!ENTITY a "aaaa">]><w:document xmlns:w="{made.W}">&a;</w:document>'
    yield "entity", made.word(extra={WORD: entity}), "declares an entity"
    outside = f'<!DOCTYPE x SYSTEM "file:///etc/passwd"><w:document xmlns:w="{made.W}">&x;</w:document>'
    yield "outside", made.word(extra={WORD: outside}), None
    yield "broken", made.word(extra={WORD: "<w:document>"}), "not well-formed"
    yield "utf-16", made.word(extra={WORD: "<a/>".encode("utf-16")}), "UTF-16"
    yield "deep", made.word(extra={WORD: "<a>" * 200_000}), "inside each other"
    link = zipfile.ZipInfo("word/link")
    link.external_attr = 0o120777 << 16
    yield "link", with_member(good, link, b"/etc/passwd"), "is a link"
    yield "twice", with_member(good, zipfile.ZipInfo(WORD), b"<a/>"), "twice"
    yield "locked", locked(good), "encrypted"
    yield "before", b"#!/bin/sh\n" + good, "before its first member"


def with_member(data, info, content):
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(info, content)
    return file.getvalue()


def locked(data):
    """With the flag of encryption on every member."""
    changed = bytearray(data)
    for sign, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = changed.find(sign)
        while at >= 0:
            flags = struct.unpack_from("<H", changed, at + place)[0]
            struct.pack_into("<H", changed, at + place, flags | 1)
            at = changed.find(sign, at + 1)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", list(hostile()), ids=lambda case: case[0])
def test_hostile_archives_are_one_line(case):
    _, data, told = case
    if told is None:
        assert one(word.FORMAT, data) == []
        return
    with pytest.raises(DataError, match=told) as caught:
        one(word.FORMAT, data, "dir/a.docx")
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("dir/a.docx")


@pytest.mark.parametrize("alt", ["a\0b", "\x1b[31m", "\ud800", "\ufffe"])
def test_a_text_that_xml_cannot_hold_changes_nothing(alt):
    for format, data in ((word.FORMAT, made.word(made.paragraph(made.drawing(1, None)))),
                         (epub.FORMAT, made.epub(made.page(made.img(None)))),
                         (slides.FORMAT, made.slides(made.slide_picture(1, None)))):  # fmt: skip
        (place,) = one(format, data)
        with pytest.raises(DataError):
            format.edited(data, "a", {place.key: Edit(alt)})


def test_a_key_that_is_not_there_is_one_line():
    data = made.word(made.paragraph(made.drawing(1, None)))
    for key in ("word/document.xml#7", "", "x#0"):
        with pytest.raises(DataError, match="scan it again"):
            word.FORMAT.edited(data, "a", {key: Edit("x")})
