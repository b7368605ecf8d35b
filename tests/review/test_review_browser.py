"""A review in a real browser, by the keyboard alone, from the link to the exported votes; and what axe-core says."""

import json
import re

import pytest
from axe import brief, violations
from people import SECONDS, Person, chromium, running
from PIL import Image
from reviews import NAMES, write_lines, write_review

from trifacet.review.store import Store

LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")  # axe-core's names

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


class Judge(Person):
    """A judge with nothing but a keyboard."""

    def shown(self):
        """The post's number and the numbers' models in the order of the screen."""
        number = re.search(r"Post (\d)", self.page.inner_text(".post-side"))[1]
        texts = self.page.locator("section.text").all_inner_texts()
        assert all(number in text for text in texts)
        return f"s{number}", [NAMES[0] if "alpha" in text else NAMES[1] for text in texts]


def exported(trifacet, folder):
    """All votes and the summary, as the command gives them."""
    files = ["--export", folder / "votes.jsonl", "--json", folder / "summary.json"]
    assert trifacet("review", "--store", folder / "votes.sqlite", *files)[0] == 0
    rows = [json.loads(line) for line in (folder / "votes.jsonl").read_text().splitlines()]
    return rows, json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A review that several tests share, each with a judge of its own: its folder and its link."""
    folder = tmp_path_factory.mktemp("served")
    with running(write_review(folder, count=2)) as server:
        yield folder, server.links[0]


def test_from_the_link_to_the_export_with_keys(tmp_path, browser, trifacet):
    with running(write_review(tmp_path)) as server:
        judge = Judge(browser, server.links[0])
        assert judge.page.url.endswith("/begin") and "token" not in judge.page.url
        judge.tab_to("name")
        judge.page.keyboard.type("Ada")
        judge.press("Enter")
        judge.heading("Sample 1 of 4")
        judge.page.evaluate("window.same = true")
        expected = {}
        for position, (key, place) in enumerate([("1", 0), ("2", 1), ("t", None), ("1", 0)], start=1):
            judge.heading(f"Sample {position} of 4")
            sample, models = judge.shown()
            expected[sample] = "tie" if place is None else models[place]
            if position == 2:
                judge.press("c")
                judge.page.keyboard.type("1 or 2? both 0k")  # keys are letters while one writes
                judge.press("Escape")
            judge.press(key)
            if position < 4:
                judge.heading(f"Sample {position + 1} of 4")
                told = judge.page.inner_text("#status")
                assert f"Sample {position}: {['text 1', 'text 2', 'tie'][position - 1]}, stored." in told
                assert f"Sample {position + 1} of 4." in told
        judge.heading("All samples are done")
        assert judge.page.evaluate("window.same"), "the page was loaded anew between two samples"
        judge.tab_to("Sample 4")
        judge.press("Enter")
        judge.heading("Sample 4 of 4")
        judge.press("b")
        judge.heading("Sample 3 of 4")
        sample, models = judge.shown()
        assert judge.page.inner_text("button.given") == "0 Tie"
        judge.press("2")
        expected[sample] = models[1]
        judge.heading("All samples are done")
        assert "token" not in judge.page.content() and not judge.console
        rows, summary = exported(trifacet, tmp_path)
    assert {row["sample"]: row["winner"] for row in rows if row["counts"]} == expected
    assert len(rows) == 5 and [row["comment"] for row in rows if row["comment"]] == ["1 or 2? both 0k"]
    wins = sum(winner == NAMES[0] for winner in expected.values())
    assert [summary["majority"][kind]["count"] for kind in ("win", "tie", "lose")] == [wins, 0, 4 - wins]
    assert summary["judges"][0]["revised"] == 1


def test_from_the_link_to_the_export_without_scripts(served, browser, trifacet):
    folder, link = served
    judge = Judge(browser, link, java_script_enabled=False)
    page, expected = judge.page, {}
    judge.tab_to("name")
    judge.page.keyboard.type("Bob")
    judge.tab_to("Begin")
    judge.press("Enter")
    for position, (button, place) in enumerate([("2 Text 2", 1), ("1 Text 1", 0)], start=1):
        page.wait_for_selector(f"h1:text-is('Sample {position} of 2')")
        assert not page.locator(".keys").is_visible()
        sample, models = judge.shown()
        expected[sample] = models[place]
        judge.tab_to(button)
        judge.press("Enter")
    page.wait_for_selector("h1:text-is('All samples are done')")
    judge.tab_to("Sample 1")
    judge.press("Enter")
    page.wait_for_selector("h1:text-is('Sample 1 of 2')")
    sample, _ = judge.shown()
    judge.tab_to("0 Tie")
    judge.press("Enter")
    expected[sample] = "tie"
    page.wait_for_selector("h1:text-is('All samples are done')")
    page.context.close()
    rows, summary = exported(trifacet, folder)
    own = [row for row in rows if row["judge"] == "Bob"]
    assert {row["sample"]: row["winner"] for row in own if row["counts"]} == expected and len(own) == 3
    (bob,) = [row for row in summary["judges"] if row["judge"] == "Bob"]
    assert (bob["answered"], bob["revised"], bob["tie"]) == (2, 1, 1)


def test_a_link_that_is_followed_from_another_site_opens(served, browser):
    page = browser.new_page()
    page.goto(f"data:text/html,<a href='{served[1]}'>the review</a>")
    page.click("a")
    page.wait_for_selector("h1:text-is('Comparing texts')")
    page.context.close()


def test_an_answer_that_is_not_stored_is_told_and_can_be_given_again(tmp_path, browser):
    arguments = [*write_review(tmp_path), "--judge", "Ada"]
    with running(arguments) as server:
        judge = Judge(browser, server.links[0])
        judge.page.click("text=Begin")
        judge.heading("Sample 1 of 4")
        judge.page.fill("#comment", "typed")
        judge.press("Escape")
        server.kill()
        server.wait(SECONDS)
        judge.press("1")
        judge.page.wait_for_selector("#alarm:has-text('Your answer was not stored')")
        assert judge.page.inner_text("h1") == "Sample 1 of 4" and judge.page.input_value("#comment") == "typed"
    with running(arguments, port=int(re.search(r":(\d+)/", judge.link)[1])):
        judge.press("1")
        judge.heading("Sample 2 of 4")
        assert judge.page.inner_text("#alarm") == ""
    assert [vote.comment for vote in Store(tmp_path / "votes.sqlite").votes()] == ["typed"]


def test_keys_can_be_turned_off(served, browser):
    folder, link = served
    judge = Judge(browser, link)
    judge.page.fill("#name", "Cem")
    judge.page.click("text=Begin")
    judge.heading("Sample 1 of 2")
    judge.page.uncheck("#keys")
    judge.press("1", "2", "s", "b", "Control+1")
    judge.page.reload()
    judge.heading("Sample 1 of 2")
    judge.press("1")
    assert not judge.page.is_checked("#keys")
    judge.page.check("#keys")
    judge.press("Control+1", "Alt+2", "x")
    judge.press("s")
    judge.heading("Sample 2 of 2")
    judge.page.context.close()
    assert [vote.choice for vote in Store(folder / "votes.sqlite").votes("Cem")] == ["skip"]


def test_the_link_to_the_content_keeps_what_was_typed(served, browser):
    judge = Judge(browser, served[1])
    judge.page.fill("#name", "Dee")
    judge.page.click("text=Begin")
    judge.heading("Sample 1 of 2")
    judge.page.evaluate("window.same = true")
    judge.press("Shift+C")  # as with the capitals locked
    judge.page.keyboard.type("typed")
    judge.page.focus("a.skip")
    judge.press("Enter")
    judge.page.wait_for_url("**/sample/1#content")
    judge.page.wait_for_timeout(300)  # in which a page that was to be loaded anew would be
    assert judge.page.evaluate("window.same") and judge.page.input_value("#comment") == "typed"
    judge.press("s")
    judge.heading("Sample 2 of 2")
    judge.page.go_back()
    judge.page.wait_for_selector("h1:text-is('Sample 1 of 2')")  # read from the content on, which its address names
    assert judge.page.inner_text("button.given") == "s Skip"
    judge.page.context.close()


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A review whose samples are as awkward as they come, and its server."""
    folder = tmp_path_factory.mktemp("odd")
    arguments = write_review(folder, count=1)
    Image.effect_noise((3400, 1700), 90).save(folder / "huge.jpg")
    posts = [
        ("huge.jpg", "long " * 2000, "x" * 4000, "ثلاثة أقراص حمراء"),
        (None, "منشور بلا صورة", "same text", "same text"),
        ("gone.jpg", "", "", "a text"),
    ]
    for name in ("test", "a", "b"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for number, (image, context, *texts) in enumerate(posts, start=1):
            post = {"context": context, "prompt": "Write it.", "references": []} | ({"image": image} if image else {})
            rows.append({"id": f"s{number}"} | (post if name == "test" else {"text": texts[name == "b"]}))
        write_lines(folder / f"{name}.jsonl", rows)
    with running(arguments) as server:
        yield server.links[0]


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_every_page_passes_axe_and_never_scrolls_sideways(browser, odd, width, scheme):
    pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    judge = Judge(browser, odd, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    page = judge.page
    looks = LOOKS if scheme == "dark" else ()  # the elements are the same: what is left is what they look like

    def sound(place):
        assert brief(violations(page, looks)[0]) == [], place
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")

    base = page.url.removesuffix("/begin")
    sound("welcome")
    page.evaluate("document.getElementById('name').removeAttribute('required')")
    page.click("button")
    page.wait_for_selector(".wrong")
    sound("welcome with an error")
    page.fill("#name", f"{scheme} {width}")
    page.click("button")
    judge.heading("Sample 1 of 4")
    for position in range(1, 5):
        page.goto(f"{base}/sample/{position}")
        page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        sound(f"sample {position}")
    judge.press("1")
    judge.heading("Sample 1 of 4")
    page.goto(f"{base}/sample/4")
    sound("a sample that was answered")
    page.goto(f"{base}/answers")
    sound("answers")
    page.goto(f"{base}/sample/99")
    sound("a problem")
    page.context.close()
