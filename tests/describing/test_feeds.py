"""RSS, Atom and WordPress exports: what is found, and that edits change the texts and no other byte."""

import packed_documents as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import DataError
from trifacet.describing.formats import feed, format_of, markup, wordpress
from trifacet.describing.place import Edit

TEXTS = st.text(st.sampled_from("ab \"'<>&]é日\U0001f600;x"), min_size=1, max_size=20).filter(str.strip)
WRITERS = {"cdata": made.cdata, "escaped": made.escaped}


def one(data, format=feed.FORMAT):
    return list(format.places(data, "a.xml"))


@searched(30)
@given(
    st.lists(TEXTS, min_size=1, max_size=4),
    st.sampled_from(sorted(WRITERS)),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_a_feed_changes_its_texts_and_nothing_else(alts, how, ending, data):
    write = WRITERS[how]
    before = made.rss(*alts, write=write, ending=ending)
    places = [place for place in one(before) if not place.fixed]
    assert [place.alt for place in places] == alts
    new = [data.draw(st.one_of(st.none(), TEXTS)) for _ in alts]
    edits = {place.key: Edit(alt) for place, alt in zip(places, new, strict=True) if alt is not None}
    after = feed.FORMAT.edited(before, "a.xml", edits)
    told = [alt if alt is not None else old for alt, old in zip(new, alts, strict=True)]
    assert after == made.rss(*told, write=write, ending=ending)
    again = {place.key: Edit(old) for place, old in zip([p for p in one(after) if not p.fixed], alts, strict=True)}
    assert feed.FORMAT.edited(after, "a.xml", again) == before


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "windows-1251", "UTF-16"])
def test_a_feed_keeps_its_encoding(encoding, write):
    before = made.rss("A dog", write=write, encoding=encoding)
    place = next(place for place in one(before) if not place.fixed)
    after = feed.FORMAT.edited(before, "a.xml", {place.key: Edit("Zwei Hunde")})
    assert after == made.rss("Zwei Hunde", write=write, encoding=encoding)
    after = feed.FORMAT.edited(before, "a.xml", {place.key: Edit("日")})
    assert next(place for place in one(after) if not place.fixed).alt == "日"


def test_what_a_feed_tells():
    text, enclosure, media = one(made.rss("", media="<media:description>A dog</media:description>"))
    assert (text.around.page, text.around.language, text.state, text.line) == ("Entry 0", "de", "empty", 6)
    assert "Intro" in text.around.before
    assert "enclosure" in enclosure.fixed
    assert (media.alt, media.fixed, media.picture.address) == ("A dog", "", "m.jpg")


@pytest.mark.parametrize(
    ("media", "after"),
    [
        (
            "<media:title>T</media:title>",
            "<media:title>T</media:title><media:description>A &lt;cat&gt;</media:description>",
        ),
        ("<media:description>A dog</media:description>", "<media:description>A &lt;cat&gt;</media:description>"),
        ("<media:description/>", "<media:description>A &lt;cat&gt;</media:description>"),
        (
            "<media:description><![CDATA[x]]></media:description>",
            "<media:description><![CDATA[A <cat>]]></media:description>",
        ),
    ],
)
def test_the_description_of_media(media, after):
    before = made.rss(media=media)
    (place,) = one(before)
    assert feed.FORMAT.edited(before, "a.xml", {place.key: Edit("A <cat>")}) == made.rss(media=after)


def test_media_in_one_tag():
    before = made.rss(media="").replace(b"></media:content>", b" />")
    (place,) = one(before)
    after = feed.FORMAT.edited(before, "a.xml", {place.key: Edit("A cat")})
    assert after == before.replace(b" />", b" ><media:description>A cat</media:description></media:content>")


ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>Blog</title>
<link rel="enclosure" type="image/png" href="e.png"/>
<entry><title type="html">An &amp;amp; B</title><content type="{}">{}</content></entry></feed>
"""


def test_atom():
    whole = ATOM.format("html", made.escaped(f"<p>Say {made.img('A dog')}</p>"))
    _, place = one(whole.encode())
    assert (place.alt, place.around.page, place.around.language) == ("A dog", "An & B", "en")
    after = feed.FORMAT.edited(whole.encode(), "a", {place.key: Edit('A "cat"')})
    assert after.decode() == whole.replace("A dog", "A &amp;quot;cat&amp;quot;")
    inner = '<div xmlns="http://www.w3.org/1999/xhtml"><p>Say <a href="/x"><img src="a.png"/></a></p></div>'
    whole = ATOM.format("xhtml", inner)
    _, place = one(whole.encode())
    assert (place.state, place.role, place.around.link) == ("missing", "functional", "/x")
    after = feed.FORMAT.edited(whole.encode(), "a", {place.key: Edit('A "cat"')})
    assert after.decode() == whole.replace('src="a.png"', 'src="a.png" alt="A &quot;cat&quot;"')


def test_a_text_over_two_sections_is_one_afterwards():
    before = made.rss("A ]]> dog")
    assert before.count(b"CDATA") == 1  # in the attribute it is ]]&gt;
    raw = before.replace(b"A ]]&gt; dog", b"A ]]]]><![CDATA[> dog")
    (place, _) = one(raw)
    assert place.alt == "A ]]> dog"
    assert feed.FORMAT.edited(raw, "a", {place.key: Edit("A dog")}) == made.rss("A dog")
    assert one(feed.FORMAT.edited(raw, "a", {place.key: Edit("]]> x ]]>")}))[0].alt == "]]> x ]]>"


@pytest.mark.parametrize("name", ["feed.xml", "a.rss", "b.atom", "export.xml"])
def test_which_format_a_file_is(name):
    data = made.wxr() if name == "export.xml" else ATOM.encode() if name == "b.atom" else made.rss()
    assert format_of(name, data[:4096]).name == ("wordpress" if name == "export.xml" else "feed")
    assert format_of("sitemap.xml", b"<?xml version='1.0'?><urlset/>", found=True) is None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<rss>", "not well-formed"),
        (b"", "not well-formed"),
        (b"<!DOCTYPE rss [<!ENTITY a 'x'>]><rss>&a;</rss>", "declares an entity"),
        (b"<?xml version='1.0' encoding='utf-7'?><rss/>", "encoding"),
        (b"<?xml version='1.0' encoding='no-such'?><rss/>", "encoding"),
        (b"<rss>\xff\xfe</rss>", "encoding"),
        (b"<rss>" + b"<a>" * 1_100, "elements inside each other"),
        (b"<rss>" + b"<a/>" * 1_100, "more than 1000 elements"),
    ],
)
def test_hostile_feeds_are_one_line(data, told, monkeypatch):
    monkeypatch.setattr(markup, "MAX_ELEMENTS", 1000)
    with pytest.raises(DataError, match=told) as caught:
        one(data)
    assert len(str(caught.value).splitlines()) == 1 and "a.xml" in str(caught.value)


def test_a_hostile_beginning_is_looked_at_in_no_time():
    for piece in (b"<!---->", b"<?a?>", b"<!DOCTYPE x>", b" ", b"<!-- wp:x {"):
        assert not feed.FORMAT.begins(piece * 600)


# --- WordPress --------------------------------------------------------------------------------------------------


def test_an_export_tells_posts_and_the_library():
    post = made.wp_item(1, "post", content=f"<p>Rex at home.</p>\n{made.wp_image('')}", title="Rex")
    library = made.wp_item(2, "attachment", url="https://example.org/a.jpg", parent=1, title="IMG_1", alt="A dog")
    sound = made.wp_item(3, "attachment", url="https://example.org/a.mp3")
    places = one(made.wxr(post, library, sound), wordpress.FORMAT)
    assert [(place.alt, place.state, place.around.page) for place in places] == [
        ("", "empty", "Rex"), ("A dog", "text", "Rex"),
    ]  # fmt: skip
    assert places[1].picture.address == "https://example.org/a.jpg"


@searched(30)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.data())
def test_an_export_changes_its_texts_and_nothing_else(alts, data):
    def image(alt, new):  # shortcodes run in attributes too
        told = made.wp_image(alt)
        return told.replace("[", "&#091;").replace("]", "&#093;") if new else told

    def export(posts, library):
        items = [
            made.wp_item(number, "post", content=image(alt, alt != alts[number])) for number, alt in enumerate(posts)
        ]
        items += [made.wp_item(50 + n, "attachment", url="u.png", alt=alt) for n, alt in enumerate(library)]
        return made.wxr(*items)

    before = export(alts, alts)
    places = one(before, wordpress.FORMAT)
    assert [place.alt for place in places] == alts * 2
    new = [data.draw(TEXTS) for _ in places]
    edits = {place.key: Edit(alt) for place, alt in zip(places, new, strict=True)}
    after = wordpress.FORMAT.edited(before, "a", edits)
    assert after == export(new[: len(alts)], new[len(alts) :])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_an_attachment_without_a_text_gets_the_field(ending):
    before = made.wxr(made.wp_item(2, "attachment", url="u.png"), made.wp_item(3, "attachment", url="v.png"))
    wanted = made.wxr(
        made.wp_item(2, "attachment", url="u.png", alt="A ]]> dog"), made.wp_item(3, "attachment", url="v.png")
    )
    before, wanted = (text.replace(b"\n", ending.encode()) for text in (before, wanted))
    first = one(before, wordpress.FORMAT)[0]
    assert first.state == "missing"
    after = wordpress.FORMAT.edited(before, "a", {first.key: Edit("A ]]> dog")})
    assert b"".join(after.split()) == b"".join(wanted.split())
    assert after.count(b"\n") == after.count(ending.encode())


def test_blocks_that_keep_the_text_twice_are_fixed():
    cover = f'<!-- wp:cover {{"url":"a.jpg"}} --><div>{made.img("")}</div><!-- /wp:cover -->'
    within = f'<!-- wp:cover {{"url":"a.jpg"}} --><div>{made.wp_image("x")}</div><!-- /wp:cover -->'
    own = made.wp_image("x", settings=',"alt":"x"')
    media = f'<!-- wp:media-text {{"mediaId":5}} --><figure>{made.img("")}</figure><!-- /wp:media-text -->'
    for content, fixed in ((cover, True), (within, False), (own, True), (media, False), (made.img("x"), False)):
        (place,) = one(made.wxr(made.wp_item(1, "post", content=content)), wordpress.FORMAT)
        assert bool(place.fixed) == fixed, content
