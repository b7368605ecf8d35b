"""``trifacet alt wordpress`` against a real WordPress on loopback (``real_wordpress``), in ``make endurance``."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from real_wordpress import missing, real_wordpress
from wordpress_parts import TEXTS, decided_queue, states, trifacet

from trifacet.describing.wordpress.export import read_export
from trifacet.describing.wordpress.plan import read_plan
from trifacet.describing.wordpress.trial import TITLE

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.skipif(bool(missing()), reason=f"no real WordPress on this machine: {missing()} not installed"),
]

POSTS = {  # name: (kind, status, content, excerpt)
    "blocks": (
        "post", "publish",
        '<!-- wp:heading -->\n<h2>Dogs &amp; cats</h2>\n<!-- /wp:heading -->\n\n<!-- wp:image {"id":MEDIA} -->\n'
        '<figure class="wp-block-image"><img src="UPLOADED" class="wp-image-MEDIA"/><figcaption>Rex</figcaption>'
        "</figure>\n<!-- /wp:image -->", "",
    ),
    "gallery": (
        "post", "publish",
        '<!-- wp:gallery {"linkTo":"none"} -->\n<figure class="wp-block-gallery">'
        '<!-- wp:image {"id":MEDIA} -->\n<figure class="wp-block-image"><img src="UPLOADED" class="wp-image-MEDIA"/>'
        '</figure>\n<!-- /wp:image --><!-- wp:image {"id":MEDIA} -->\n<figure class="wp-block-image">'
        '<img src="UPLOADED" alt="" class="wp-image-MEDIA"/></figure>\n<!-- /wp:image --></figure>\n'
        "<!-- /wp:gallery -->", "",
    ),
    "cover": (
        "post", "publish",
        '<!-- wp:cover {"url":"UPLOADED","id":MEDIA} -->\n<div class="wp-block-cover"><img class="wp-image-MEDIA" '
        'src="UPLOADED"/><p>Words</p></div>\n<!-- /wp:cover -->\n<p><img src="b.png"></p>', "",
    ),
    "classic": (
        "post", "publish",
        "First \u201cline\u201d\r\n\r\n[caption id=\"attachment_MEDIA\" width=\"300\"]<img class='wp-image-MEDIA' "
        "src='UPLOADED' width=300 > The caption[/caption]\r\n[gallery ids=\"MEDIA\"]\r\n\r\n"
        "back\\slash and \\\\ two\r\n", "",
    ),
    "entities": (
        "post", "publish",
        "<p>caf\u00e9 &eacute; &#8217; &amp;amp; \U0001f600 <IMG SRC=a.png ALT='' /><img\nsrc=\"a.png\"\n"
        "\tdata-x=\"&quot;\">"
        "</p><p>]]&gt; a &lt; b</p>\n\n\n", "",
    ),
    "script": ("post", "publish", '<p><img src="a.png"></p><script>if (a < 1 && b) { x("<img>"); }</script>', ""),
    "excerpt": ("post", "publish", "<p>No picture.</p>", '<img src="e.png"> in <em>short</em>'),
    "page": ("page", "publish", "<!-- wp:paragraph -->\n<p><img src=\"p.png\"></p>\n<!-- /wp:paragraph -->", ""),
    "draft": ("post", "draft", '<p>Not yet <img src="d.png"></p>', ""),
    "private": ("post", "private", '<p>Secret <img src="s.png"></p>', ""),
    "later": ("post", "future", '<p>Later <img src="l.png"></p>', ""),
    "reusable": ("wp_block", "publish", '<p>Again <img src="r.png"></p>', ""),
    # WordPress adds rel="noopener" to what it saves of this, whoever saves it
    "target": ("post", "publish", '<p><a href="/x" target="_blank">x</a> <img src="t.png"></p>', ""),
}  # fmt: skip
_MAKE = """
require 'wp-load.php'; global $wpdb;
foreach (json_decode(file_get_contents($argv[1]), true) as $name => $post) {
    list($kind, $status, $content, $excerpt) = $post;
    $date = $status === 'future' ? '2090-01-01 10:00:00' : '2020-02-03 04:05:06';
    $id = wp_insert_post(array('post_type' => $kind, 'post_status' => $status,
        'post_title' => "Post \\"$name\\" & more",
        'post_content' => 'x', 'post_author' => (int) $argv[2], 'post_date' => $date, 'post_date_gmt' => $date));
    $wpdb->update($wpdb->posts, array('post_content' => $content, 'post_excerpt' => $excerpt), array('ID' => $id));
    $made[$name] = $id;
}
echo json_encode($made);
"""


class Site:
    """A real site with posts, and the command line in a folder of its own."""

    def __init__(self, real, folder):
        self.real, self.folder = real, folder
        self.number, self.password = real.user("admin", "administrator")
        self.account = ("admin", self.password)
        self.media, self.uploaded = self.upload("picture.png")

    def ask(self, method, route, data=None, kind="application/json", **headers):
        token = base64.b64encode(":".join(self.account).encode()).decode()
        body = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self.real.address}/?rest_route={route}", method=method, data=body,
            headers={"Authorization": f"Basic {token}", "Content-Type": kind, **headers},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def upload(self, name):
        """A picture of one colour, by the REST API."""
        data = io.BytesIO()
        Image.new("RGB", (20, 20), "red").save(data, "PNG")
        header = {"Content-Disposition": f"attachment; filename={name}"}
        told = self.ask("POST", "/wp/v2/media", data.getvalue(), "image/png", **header)
        return told["id"], told["source_url"]

    def make(self, posts=POSTS, author=1):
        """Posts as they might have come from an import or another plugin: nothing of them is filtered."""
        told = json.dumps(posts).replace("MEDIA", str(self.media)).replace("UPLOADED", self.uploaded)
        (self.folder / "posts.json").write_text(told, encoding="utf-8")
        return json.loads(self.real.php(_MAKE, str(self.folder / "posts.json"), str(author)))

    def run(self, *words, user=None, folder=None, **how):
        """``trifacet alt wordpress``, in the folder."""
        name, password = user or self.account
        environment = {**os.environ, "WORDPRESS_SITE": self.real.address, "WORDPRESS_USER": name,
                       "WORDPRESS_APPLICATION_PASSWORD": password}  # fmt: skip
        code, told, said = trifacet(folder or self.folder, "alt", "wordpress", *words, environment=environment, **how)
        assert password not in told + said and password.replace(" ", "") not in told + said
        assert "Traceback" not in said
        return code, told, said

    def planned(self, text_of=lambda number, place: TEXTS[number % 4], *more):
        """From the site to a plan: what is missing is accepted in a queue."""
        code, _, said = self.run("fetch", "--output", "export.xml")
        assert code == 0, said
        (self.folder / "queue.sqlite").unlink(missing_ok=True)
        decided = decided_queue(self.folder, "export.xml", text_of)
        code, told, said = self.run("plan", "queue.sqlite", *more)
        return decided, told, said

    def apply(self, *words, **how):
        return self.run("apply", "wordpress-plan.json", "--queue", "queue.sqlite", *words, **how)

    def content(self, post):
        ((row),) = self.real.rows("posts", f"ID = {post}")
        return row["post_content"]

    def drafts(self):
        return self.real.rows("posts", f"post_title LIKE '{TITLE}%' AND post_type <> 'revision'")


@pytest.fixture(scope="module")
def real():
    folder = Path(tempfile.mkdtemp(prefix="wp-", dir="/tmp"))  # a socket's name is short
    try:
        with real_wordpress(folder) as site:
            yield site
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def site(real, tmp_path):
    """The site, with nothing in it but what the test puts there."""
    real.php(
        "require 'wp-load.php'; global $wpdb; foreach (get_posts(array('post_type' => 'any', 'post_status' => 'any', "
        "'numberposts' => -1)) as $post) { wp_delete_post($post->ID, true); } "
        "$wpdb->query(\"DELETE FROM {$wpdb->posts} WHERE post_type IN ('wp_block', 'revision', 'attachment')\"); "
        '$wpdb->query("TRUNCATE {$wpdb->postmeta}");'
    )
    yield Site(real, tmp_path)
    for name in ("plugin",):
        real.plugin(name, "")


def all_rows(real):
    """The tables that hold what people wrote, but for what WordPress keeps beside them."""
    tables = ("posts", "postmeta", "terms", "term_relationships", "term_taxonomy", "comments", "options", "users")
    found = {table: real.rows(table) for table in tables}
    passing = ("cron", "transient", "rewrite_rules", "recently_edited", "auto_core_update", "can_compress_scripts")
    found["options"] = [one for one in found["options"] if not any(name in one["option_name"] for name in passing)]
    return found


ALT = re.compile(r"""\s+alt=(?:"[^"]*"|'[^']*'|[^\s>]*)""", re.IGNORECASE)
MODIFIED = ("post_modified", "post_modified_gmt")


def test_bytes_outside_the_texts_stay_and_undo_gives_all_back(site):
    made = site.make()
    decided, told, said = site.planned()
    assert "cover" not in said and len(decided) == 14, decided
    plan = read_plan(site.folder / "wordpress-plan.json")
    before = all_rows(site.real)
    code, told, said = site.apply()
    assert code == 1 and said.count("warning:") == 1, said  # the link with a target, which WordPress would change
    assert f"post {made['target']}" in said and 'rel="noopener' in said
    assert told == f"{len(plan.updates) - 1} fields of posts changed, 13 texts; 1 refused\n"
    after = all_rows(site.real)
    old_posts, new_posts = ({one["ID"]: one for one in rows["posts"]} for rows in (before, after))
    changed_outside = 0
    for number, old in old_posts.items():
        new = new_posts[number]
        dates = (*MODIFIED, "post_date") if old["post_status"] == "draft" else MODIFIED
        for name in old:
            if name in ("post_content", "post_excerpt"):
                changed_outside += ALT.sub("", old[name]) != ALT.sub("", new[name])
            elif name not in dates:
                assert new[name] == old[name], (number, name)
    assert changed_outside == 0
    for update in plan.updates:
        if update.type == "attachment" or update.post == made["target"]:
            continue
        now = new_posts[str(update.post)]["post_excerpt" if update.field == "excerpt" else "post_content"]
        assert now.count("alt=") >= len(update.texts)
    assert new_posts[str(made["target"])] == old_posts[str(made["target"])]
    more = [one for number, one in new_posts.items() if number not in old_posts]
    assert {one["post_type"] for one in more} == {"revision"} and not site.drafts()
    metas = [{one["meta_id"]: one for one in rows["postmeta"]} for rows in (before, after)]
    other = [one for number, one in metas[1].items() if metas[0].get(number) != one]
    assert [(one["meta_key"], int(one["post_id"])) for one in other] == [("_wp_attachment_image_alt", site.media)]
    for table in ("terms", "term_relationships", "term_taxonomy", "comments", "options", "users"):
        assert before[table] == after[table], table

    code, told, said = site.apply()  # again
    assert (code, told) == (
        1,
        f"0 fields of posts changed, 0 texts; {len(plan.updates) - 1} with nothing to do; 1 refused\n",
    )
    again = all_rows(site.real)
    assert again == after

    code, told, said = site.run("undo", "--queue", "queue.sqlite")
    assert code == 0, said
    for number, old in old_posts.items():
        ((now),) = site.real.rows("posts", f"ID = {number}")
        assert (now["post_content"], now["post_excerpt"]) == (old["post_content"], old["post_excerpt"])
    assert site.ask("GET", f"/wp/v2/media/{site.media}&context=edit")["alt_text"] == ""
    assert states(site.folder) == {"accepted": 14}
    assert site.run("undo")[0] == 2  # nothing left


def test_wordpress_own_export_tells_the_same_as_what_is_fetched(site):
    site.make()
    site.run("fetch", "--output", "export.xml")
    (site.folder / "own.xml").write_bytes(site.real.export())

    def fields(name):
        address, found = read_export((site.folder / name).read_bytes(), name)
        assert address == site.real.address
        return {(one.post, one.name): one for one in found.values() if one.value or one.name == "alt_text"}

    own, fetched = fields("own.xml"), fields("export.xml")
    with_pictures = {key for key, one in own.items() if one.name == "alt_text" or "<img" in one.value.lower()}
    assert with_pictures <= set(fetched) and len(with_pictures) == len(POSTS) + 1
    assert {key: own[key].value for key in with_pictures} == {key: fetched[key].value for key in with_pictures}
    decided_queue(site.folder, "own.xml", lambda number, place: TEXTS[number % 4])
    assert site.run("plan", "queue.sqlite")[0] == 0
    assert " 13 texts; 1 refused" in site.apply()[1]


def test_what_changed_since_the_export_is_left_and_asked_again(site):
    made = site.make({name: POSTS[name] for name in ("blocks", "classic", "page")})
    site.planned()
    site.ask("POST", f"/wp/v2/posts/{made['blocks']}", {"content": "<p>Another one <img src='n.png'></p>"})
    site.ask("POST", f"/wp/v2/media/{site.media}", {"alt_text": "What a person wrote"})
    code, told, said = site.apply()
    assert code == 1 and said.count("changed since the export") == 2
    assert told == "2 fields of posts changed, 2 texts; 2 changed since\n"
    assert site.content(made["blocks"]) == "<p>Another one <img src='n.png'></p>"
    assert site.ask("GET", f"/wp/v2/media/{site.media}&context=edit")["alt_text"] == "What a person wrote"
    assert states(site.folder) == {"applied": 2, "stale": 2}
    site.ask("POST", f"/wp/v2/pages/{made['page']}", {"content": "<p>Another page</p>"})
    code, told, said = site.run("undo", "--queue", "queue.sqlite")
    assert code == 1 and "left as it is" in said and site.content(made["page"]) == "<p>Another page</p>"
    assert "alt=" not in site.content(made["classic"])


@pytest.mark.parametrize("rows", (1, 2, 4))
def test_a_killed_run_goes_on_and_writes_nothing_twice(site, rows):
    posts = {f"post {n}": ("post", "publish", f'<p>{n} <img src="a{n}.png"></p>', "") for n in range(8)}
    made = site.make(posts)
    site.planned()
    environment = {**os.environ, "WORDPRESS_SITE": site.real.address, "WORDPRESS_USER": "admin",
                   "WORDPRESS_APPLICATION_PASSWORD": site.password}  # fmt: skip
    journal = site.folder / ".trifacet-wordpress" / "wordpress.jsonl"
    started = subprocess.Popen(
        [sys.executable, "-m", "trifacet", "alt", "wordpress", "apply", "--queue", "queue.sqlite"],
        cwd=site.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end and started.poll() is None:
        if journal.is_file() and journal.read_bytes().count(b"\n") >= rows:
            break
        time.sleep(0.002)
    started.send_signal(signal.SIGKILL)
    assert started.wait(30) == -signal.SIGKILL
    code, _, said = site.apply()
    assert code == 0, said
    assert states(site.folder) == {"applied": 9} and not site.drafts()
    for name, number in made.items():
        n = name.split()[1]
        assert re.fullmatch(rf'<p>{n} <img alt="[^"]+" src="a{n}.png"></p>', site.content(number))
        saved = site.real.rows("posts", f"post_type = 'revision' AND post_parent = {number}")
        assert len([one for one in saved if "alt=" in one["post_content"]]) == 1
    assert site.run("undo")[0] == 0  # what both runs did
    assert not any("alt=" in site.content(number) for number in made.values())


def test_html_that_an_author_may_not_save_is_found_out_before_the_post_is_touched(site):
    number, password = site.real.user("author", "author")
    iframe = '<p>Video <iframe src="https://example.org/v"></iframe> <img src="v.png"></p><script>x()</script>'
    plain = '<!-- wp:image {"id":3} -->\n<p>Plain <img src="a.png" class="x" /> &amp; more</p>\n<!-- /wp:image -->'
    made = site.make(
        {"filtered": ("post", "publish", iframe, ""), "plain": ("post", "publish", plain, "")}, author=number
    )
    others = site.make({"other": POSTS["page"]})
    site.planned(lambda number, place: TEXTS[0])
    code, _, said = site.apply(user=("author", password))
    assert code == 1 and "no unfiltered_html" in said and "iframe" in said
    assert site.content(made["filtered"]) == iframe
    assert site.real.rows("posts", f"post_parent = {made['filtered']}") == []  # nothing was saved at all
    assert "alt=" in site.content(made["plain"])
    assert f"page {others['other']}" in said and "rest_forbidden_context" in said
    assert f"attachment {site.media}" in said  # the administrator's picture
    assert not site.drafts()
    code, _, said = site.apply()  # the administrator may
    assert code == 0 and "alt=" in site.content(made["filtered"])


GENTLE = """add_filter('wp_insert_post_data', function ($data) {
    if ($data['post_status'] === 'publish' && strpos($data['post_content'], 'alt=') !== false) {
        $data['post_content'] .= ' <!-- seo -->'; }
    return $data; });"""
HARSH = GENTLE.replace("&& strpos($data['post_content'], 'alt=') !== false", "")


@pytest.mark.parametrize(("plugin", "back"), [(GENTLE, True), (HARSH, False)])
def test_a_plugin_that_changes_published_posts_alone_is_seen_and_the_old_is_given_back(site, plugin, back):
    made = site.make({"page": ("post", "publish", '<p><img src="p.png"> here</p>', "")})
    site.planned()
    site.real.plugin("plugin", plugin)
    code, _, said = site.apply()
    assert code == 1 and "seo" in said
    assert ("the old text was given back" in said) is back
    assert ("could not be given back; restore it from WordPress's revisions" in said) is not back
    assert (site.content(made["page"]) == '<p><img src="p.png"> here</p>') is back
    assert states(site.folder) == {"accepted": 1, "applied": 1}


FAULTS = {
    "notices before the JSON": ("echo \"<br />\\n<b>Warning</b>: Undefined [x] in {y} on line <b>1</b>\\n\";", 0,
                                "characters stand before the JSON"),
    "a byte order mark": ('echo "\\xef\\xbb\\xbf";', 0, ""),
    "application passwords off": ("add_filter('wp_is_application_passwords_available', '__return_false');", 2,
                                  "application passwords are off"),
    "off for the account": ("add_filter('wp_is_application_passwords_available_for_user', '__return_false');", 2,
                            "does not take user and application password"),
    "closed": ("add_filter('rest_authentication_errors', function ($e) { return new WP_Error('rest_cannot_access', "
               "'Only for members.', array('status' => 401)); });", 2, "keeps the REST API closed"),
    "pages alone": ("add_action('rest_api_init', function () { echo '<html>Hello</html>'; exit; });", 2,
                    "no REST API was found"),
    "types closed": ("add_filter('register_post_type_args', function ($a, $n) { if ($n === 'post') "
                     "{ $a['show_in_rest'] = false; } return $a; }, 10, 2);", 1, "not open to the site's REST API"),
    "no pretty permalinks": ("add_filter('pre_option_permalink_structure', '__return_empty_string'); "
                             "if (strpos($_SERVER['REQUEST_URI'], '/wp-json') === 0) "
                             "{ http_response_code(404); exit; }",
                             0, ""),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_stands_in_the_way_is_one_clear_line(site, fault):
    code, expected, words = FAULTS[fault]
    made = site.make({"one": ("post", "publish", '<p><img src="p.png"> here</p>', "")})
    site.planned()
    site.real.plugin("plugin", code)
    ended, _, said = site.apply()
    assert ended == expected and words in said, said
    assert len(said.splitlines()) <= 2
    site.real.plugin("plugin", "")
    assert ("alt=" in site.content(made["one"])) is (expected == 0)
