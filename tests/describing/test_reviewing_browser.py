"""Suggested alt-texts decided on in a real browser, by the keyboard alone; and what axe-core says of the pages."""

import re
from contextlib import closing

import pytest
from alt_reviews import begun, command, proposal, withheld, write_queue
from axe import brief, violations
from people import SECONDS, Person, chromium, running

from trifacet.describing.place import Picture
from trifacet.describing.queue import Queue

LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")  # axe-core's names

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def decisions(folder):
    """State, text and person of each suggestion, in the order of the pages."""
    with closing(Queue(folder / "alt.sqlite", writing=False)) as queue:
        return [(one.state, one.text, one.who) for one in queue.suggestions()]


def test_from_the_first_to_the_last_with_keys(tmp_path, browser):
    write_queue(tmp_path).close()
    with running(command(tmp_path)) as server:
        ada = Person(browser, server.links[0])
        ada.tab_to("name")
        ada.page.keyboard.type("Ada")
        ada.press("Enter")
        ada.heading("Alt-text 1 of 5")
        ada.page.evaluate("window.same = true")
        ada.press("?")
        assert ada.page.evaluate("document.getElementById('help').open")
        ada.press("a")
        ada.heading("Alt-text 1 of 4")
        assert "Accepted: page-0.html, line 10." in ada.page.inner_text("#status")
        ada.press("e")
        ada.page.keyboard.press("Control+a")
        ada.page.keyboard.type("a draft of 0 and ? keys")  # keys are letters while one writes
        ada.page.wait_for_function("() => document.getElementById('count').innerText.startsWith('23 characters')")
        ada.page.keyboard.press("Control+Enter")
        ada.heading("Alt-text 1 of 3")
        ada.press("l")
        ada.heading("Alt-text 2 of 3")
        ada.press("d")
        ada.heading("Alt-text 2 of 2")
        ada.press("p")
        ada.heading("Alt-text 1 of 2")
        ada.press("n")
        ada.heading("Alt-text 2 of 2")
        ada.press("r")
        ada.heading("Alt-text 1 of 1")
        ada.press("u")
        ada.heading("Alt-text 2 of 2")
        assert "Taken back: page-2.html" in ada.page.inner_text("#status")
        ada.press("r")
        ada.heading("Alt-text 1 of 1")
        ada.press("a")
        ada.heading("Nothing is open")
        ada.press("Control+a", "Escape", "u")
        ada.heading("Alt-text 1 of 1")
        ada.press("a")
        ada.heading("Nothing is open")
        ada.page.wait_for_function("() => document.getElementById('status').innerText.includes('Accepted')")
        assert "token" not in ada.page.content() and not ada.console
    assert decisions(tmp_path) == [
        ("accepted", "Round bed 0 planted in crimson", "Ada"), ("edited", "a draft of 0 and ? keys", "Ada"),
        ("accepted", "Round bed 2 planted in gold", "Ada"), ("edited", "", "Ada"),
        ("refused", "Bed at Versailles", "Ada"),
    ]  # fmt: skip


def test_without_scripts(tmp_path, browser):
    write_queue(tmp_path, [proposal(number) for number in range(4)]).close()
    with running(command(tmp_path, "--person", "Bo")) as server:
        bo = begun(browser, server.links[0], java_script_enabled=False)
        for position, button in enumerate(("a Accept", "d Decorative", "r Refuse", "a Accept"), start=1):
            bo.page.wait_for_selector(f"h1:text-is('Alt-text 1 of {5 - position}')")
            assert not bo.page.locator(".keys").is_visible()
            if position == 4:
                bo.page.fill("#text", "by hand")
            bo.tab_to(button)
            bo.press("Enter")
        bo.page.wait_for_selector("h1:text-is('Nothing is open')")
        bo.page.click(".undo button")
        bo.page.wait_for_selector("h1:text-is('Alt-text 1 of 1')")
        bo.page.fill("#text", "by hand, again")
        bo.page.click("#accept")
        bo.page.wait_for_selector("h1:text-is('Nothing is open')")
        bo.page.context.close()
    assert [(state, text) for state, text, _ in decisions(tmp_path)][1:] == [
        ("edited", ""), ("refused", "Round bed 2 planted in gold"), ("edited", "by hand, again"),
    ]  # fmt: skip


def test_two_people_and_one_text(tmp_path, browser):
    write_queue(tmp_path).close()
    with running(command(tmp_path, "--person", "Ada", "--person", "Bo")) as server:
        ada, bo = (begun(browser, link) for link in server.links)
        for person in (ada, bo):
            person.heading("Alt-text 1 of 5")
        ada.page.fill("#text", "Ada's words")
        bo.page.fill("#text", "Bo's words")
        assert bo.page.inner_text("#accept .label") == "Save"
        bo.page.click("#accept")
        bo.heading("Alt-text 1 of 4")
        ada.page.click("#accept")
        ada.page.wait_for_selector("text=Somebody decided meanwhile")
        assert ada.page.inner_text(".both").split("\n")[1::2] == ["Bo's words", "Ada's words"]
        assert ada.page.input_value("#text") == "Ada's words" and decisions(tmp_path)[0][2] == "Bo"
        ada.page.fill("#text", "Both")
        ada.page.click("#accept")
        ada.heading("Alt-text 1 of 4")
        assert decisions(tmp_path)[0] == ("edited", "Both", "Ada")
        assert not bo.console and [line for line in ada.console if "409" not in line] == []


def test_a_kill_between_decision_and_answer(tmp_path, browser):
    write_queue(tmp_path).close()
    arguments = command(tmp_path, "--person", "Ada")
    with running(arguments) as server:
        ada = begun(browser, server.links[0])
        ada.heading("Alt-text 1 of 5")
        ada.page.fill("#text", "typed")

        def decided_but_not_told(route):
            if route.request.method == "POST" and "/text/" in route.request.url:
                route.fetch(max_redirects=0)
                server.kill()
                server.wait(SECONDS)
                route.abort()
            else:
                route.continue_()

        ada.page.route("**/*", decided_but_not_told)
        ada.page.click("#accept")
        ada.page.wait_for_selector("#alarm:has-text('does not answer')")
        ada.page.unroute("**/*")
        assert ada.page.input_value("#text") == "typed" and decisions(tmp_path)[0] == ("edited", "typed", "Ada")
    with running(arguments, port=int(re.search(r":(\d+)/", ada.link)[1])):
        ada.page.click("#accept")
        ada.heading("Alt-text 1 of 4")
        assert ada.page.inner_text("#alarm") == ""
    with closing(Queue(tmp_path / "alt.sqlite")) as queue:
        assert [event.text for event in queue.events(queue.suggestions()[0].id)][1:] == ["typed"]


def test_what_was_typed_is_kept_and_keys_can_be_turned_off(tmp_path, browser):
    write_queue(tmp_path).close()
    with running(command(tmp_path, "--person", "Ada")) as server:
        ada = begun(browser, server.links[0])
        ada.heading("Alt-text 1 of 5")
        ada.page.fill("#text", "IMG_0001.jpg")
        ada.page.wait_for_selector("#findings .level.error")
        ada.press("Escape", "n")
        ada.heading("Alt-text 2 of 5")
        ada.press("p")
        ada.heading("Alt-text 1 of 5")
        assert ada.page.input_value("#text") == "IMG_0001.jpg"
        ada.page.wait_for_selector("#findings .level.error")
        ada.page.uncheck("#keys")
        ada.press("r", "n", "d", "a")
        ada.page.reload()
        ada.heading("Alt-text 1 of 5")
        ada.press("r")
        ada.page.check("#keys")
        ada.press("Control+r", "Alt+d")
        ada.press("n")
        ada.heading("Alt-text 2 of 5")
    assert all(who == "model" for _, _, who in decisions(tmp_path))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A queue whose suggestions are as awkward as they come, and its server."""
    folder = tmp_path_factory.mktemp("odd")
    remote = Picture("remote", "https://x/" + "a" * 900)
    made = [
        proposal(0, "ثلاثة أقراص حمراء", language="ar", before="long " * 900, after="x" * 5000, caption="y" * 900,
                 document="z" * 200 + ".html"),
        proposal(1, "A chart", role="complex", long="word " * 900, samples=("z" * 3000,) * 9),
        proposal(2, "", role="functional", withheld="the model gave no text", picture=remote),
        withheld(3),
        proposal(4),
    ]  # fmt: skip
    queue = write_queue(folder, made)
    ids = [one.id for one in sorted(queue.suggestions(), key=lambda one: one.proposal.place.key)]
    queue.decide(ids[4], "edited", "mine " * 60, "somebody else " * 4, queue.get(ids[4]).event)
    queue.close()
    with running(command(folder)) as server:
        yield server.links[0], ids, folder


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_every_page_passes_axe_and_never_scrolls_sideways(browser, odd, width, scheme):
    pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    link, ids, folder = odd
    viewport = {"width": width, "height": 800}
    person = Person(browser, link, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = person.page
    looks = LOOKS if scheme == "dark" else ()  # the elements are the same: what is left is what they look like

    def sound(place):
        page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        page.wait_for_function("() => [...document.images].every(image => image.complete)")
        assert brief(violations(page, looks)[0]) == [], place
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place

    base = page.url.removesuffix("/begin")
    sound("welcome")
    page.fill("#name", f"{scheme} {width}")
    page.click("text=Begin")
    person.heading("Alt-text 1 of")
    for name in ids:
        page.goto(f"{base}/text/{name}")
        sound(name)
    page.goto(f"{base}/text/{ids[3]}")
    page.fill("#text", " ")
    page.click("#accept")
    page.wait_for_selector("#problem")
    sound("an error")
    with closing(Queue(folder / "alt.sqlite")) as queue:
        queue.decide(ids[3], "edited", f"{scheme} meanwhile", "Bo", queue.get(ids[3]).event)
    page.fill("#text", "mine")
    page.click("#accept")
    page.wait_for_selector(".both")
    sound("both texts")
    page.press("#text", "Control+Enter")
    person.heading("Alt-text")
    for place in ("/list?state=all", "/list?sought=nothing+like+it", "/text/none"):
        page.goto(f"{base}{place}")
        sound(place)
    page.context.close()
