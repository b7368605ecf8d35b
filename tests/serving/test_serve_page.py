"""The page for people, in Chromium: a picture and a post in, two models side by side out; by keyboard, on a phone."""

import json

import httpx
import pytest
from axe import brief, launch, violations
from hostile_pages import HOSTILE, only_our_markup
from png_urls import data_url

from trifacet.web.page import page_templates, printable

WAIT = 60_000  # milliseconds


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install axe-playwright-python")
    with playwright.sync_playwright() as driver:
        started = launch(driver)
        yield started
        started.close()


def opened(browser, address, **settings):
    """A page, and what it wrote to the console or asked of strangers."""
    context = browser.new_context(**settings)
    context.set_default_timeout(WAIT)
    page, odd = context.new_page(), []
    page.on("console", lambda message: odd.append(message.text))
    page.on("pageerror", lambda error: odd.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else odd.append(request.url))
    page.goto(f"{address}/")
    return page, odd


def told(page, words):
    page.get_by_role("status").filter(has_text=words).wait_for()


def test_two_models_side_by_side_by_keyboard_alone(browser, served, shown, family_text, base, adapters):
    page, odd = opened(browser, served.address, permissions=["clipboard-read", "clipboard-write"])
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    chosen.value.set_files(shown / "1.png")
    told(page, "1.png is chosen")
    page.keyboard.press("Tab")
    page.keyboard.type("two dogs over Lisbon")
    for key in ("Tab", "Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    told(page, "Done")
    cards = page.locator("section.answer")
    assert [cards.nth(at).locator("h2").inner_text() for at in range(cards.count())] == ["base", "first"]
    for at, checkpoint in enumerate((base, adapters[0])):
        (text,) = family_text(checkpoint, [1], "two dogs over Lisbon", max_new_tokens=256)
        samples = family_text(checkpoint, [1], "two dogs over Lisbon", max_new_tokens=256, draws=3, temperature=0.7)
        answer = httpx.post(f"{served.address}/suggestions", json={
            "model": ["base", "first"][at], "picture": data_url(shown / "1.png"), "post": "two dogs over Lisbon"},
            timeout=60).json()  # fmt: skip
        assert answer["text"] == "".join(part["words"] for part in answer["parts"]) == text
        assert answer["samples"] == samples
        assert cards.nth(at).locator("ol li").count() == 3
        assert cards.nth(at).locator("mark").count() == sum(part["shared"] < 3 for part in answer["parts"])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "The text of base is copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("\r\n", "\n") == family_text(base, [1], "two dogs over Lisbon", max_new_tokens=256)[0]
    assert odd == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (375, True)])
def test_axe_finds_nothing_and_a_phone_does_not_scroll_sideways(browser, served, shown, width, dark):
    scheme = "dark" if dark else "light"
    page, _ = opened(browser, served.address, viewport={"width": width, "height": 800}, color_scheme=scheme,
                     bypass_csp=True)  # fmt: skip
    found, passed = violations(page)
    assert brief(found) == [] and passed > 15
    page.set_input_files("#picture", shown / "2.png")
    page.get_by_role("button", name="Write alt-text").click()
    told(page, "Done")
    found, passed = violations(page)
    assert brief(found) == [] and passed > 20
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_what_models_write_is_text(browser, served, shown):
    page, odd = opened(browser, served.address)
    answer = {"text": HOSTILE, "cut": True, "cut_tokens": 3, "samples": [HOSTILE, "", "x"],
              "parts": [{"words": HOSTILE, "shared": 1}, {"words": " end", "shared": 3}],
              "findings": [{"rule": "r", "level": "error", "cause": HOSTILE, "cure": HOSTILE}]}  # fmt: skip
    page.route("**/suggestions", lambda route: route.fulfill(
        status=200, content_type="application/json", body=json.dumps(answer)))  # fmt: skip
    page.set_input_files("#picture", shown / "2.png")
    page.get_by_role("button", name="Write alt-text").click()
    told(page, "Done")
    assert page.locator("hostile-one, main img, main svg, main a, main script, [onclick]").count() == 0
    assert page.locator("section.answer").first.inner_text().count("<hostile-one") == 4
    assert odd == []


def test_what_goes_wrong_is_said(browser, served, shown, tmp_path):
    page, _ = opened(browser, served.address)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.set_input_files("#picture", tmp_path / "broken.png")
    told(page, "cannot be shown here")
    page.get_by_role("button", name="Write alt-text").click()
    told(page, "2 of 2 models gave no text")
    assert "is not an image of a known format" in page.locator("section.answer").first.inner_text()
    page.route("**/suggestions", lambda route: route.fulfill(
        status=429, headers={"Retry-After": "7", "Content-Type": "application/json"},
        body=json.dumps({"error": {"message": "full"}})))  # fmt: skip
    page.get_by_role("button", name="Write alt-text").click()
    page.get_by_text("full (in 7 s)").first.wait_for()


def test_with_a_token_the_page_asks_for_it(browser, serving, base, shown):
    token = "sesame-sesame-sesame"
    one = serving({"base": str(base)}, token=token)
    page, _ = opened(browser, one.address)
    assert page.get_by_label("Beside it").count() == 0  # one model stands alone
    page.set_input_files("#picture", shown / "2.png")
    page.get_by_label("Token of this server").fill("wrong")
    page.get_by_role("button", name="Write alt-text").click()
    told(page, "1 of 1 models gave no text")
    page.get_by_label("Token of this server").fill(token)
    page.get_by_role("button", name="Write alt-text").click()
    told(page, "Done")


def test_names_of_models_are_text():
    view = {"models": [HOSTILE, "b"], "token": True, "samples": 3}
    only_our_markup(printable(page_templates("trifacet.serving").get_template("serve.html.jinja").render(view)),
                    "serve.html.jinja", review=True)  # fmt: skip


def test_a_wish_is_checked_as_a_request_is(served):
    for wish, words in (
        ({"model": "base"}, "picture"),
        ({"model": "base", "picture": "data:image/png;base64,AAAA", "n": 9}, "n"),
        ({"model": "none", "picture": "data:image/png;base64,AAAA"}, "not served"),
        ({"model": "base", "picture": "http://127.0.0.1/x.png"}, "fetches no pictures"),
        ({"model": "base", "picture": "data:image/png;base64,AAAA", "post": 7}, "post"),
    ):
        answer = httpx.post(f"{served.address}/suggestions", json=wish, timeout=60)
        assert answer.status_code in (400, 404) and words in answer.json()["error"]["message"]
