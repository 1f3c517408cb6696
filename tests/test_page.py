"""The local page in a real Chromium, against a real server with a fake engine."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Error, async_playwright, expect

from tests.site import OpenSite

CHROMIUM = Path("/usr/bin/chromium")
QUICK = "--quality draft --steps 4"

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """The script of what goes wrong in the engine: nothing, until a test writes it."""
    script = tmp_path / "faults"
    script.touch()
    monkeypatch.setenv("LIMNER_FAKE_FAULTS", str(script))
    return script


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path, faults):
    site = await OpenSite(tmp_path / "data").open()
    yield site
    await site.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser, site):
    """The open page. At its end: it asked no other host for anything, and nothing in it broke."""
    page = await browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(5000)
    asked, broken = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    await page.goto(site.url)
    yield page
    await page.close()
    assert [url for url in asked if not url.startswith((site.url + "/", "data:"))] == []
    assert broken == []


def cards(page, place="feed"):
    return page.locator(f"#{place} .card")


async def draw(page, text):
    """Type a prompt, and the card of its finished job."""
    before = await cards(page).count()
    await page.get_by_label("What to draw").fill(text)
    await page.get_by_role("button", name="Draw", exact=True).first.click()
    card = cards(page).nth(before)
    await expect(card).to_have_attribute("data-status", "delivered")
    return card


async def test_type_watch_reroll_restart_and_press_the_old_button(page, site):
    await expect(page.get_by_text("Say what you want to see.")).to_be_visible()
    await page.get_by_label("What to draw").fill("a red car on a mountain road --seed 7 --steps 60")
    await page.keyboard.press("Enter")
    card = cards(page).first
    await expect(card.get_by_role("progressbar")).to_be_visible()
    await expect(card.locator("img.preview")).to_be_visible()
    await expect(card.locator(".line")).to_contain_text("seed\u00a07 · builtin · 2048×2048")
    await expect(card.get_by_role("img", name="a red car on a mountain road")).to_be_visible()

    await card.get_by_role("button", name="Re-roll").click()
    child = cards(page, "thread").nth(1)
    await expect(child).to_have_attribute("data-status", "delivered")
    await expect(child.locator(".lineage")).to_contain_text("seed 7 →")

    await site.close()
    site.clock.pass_seconds(60)
    await expect(page.locator("#connection")).to_contain_text("Connection lost")
    await site.open()
    await expect(page.locator("#connection")).to_contain_text("Connected again")
    await card.get_by_role("button", name="Re-roll").click()
    await expect(cards(page, "thread").nth(2)).to_have_attribute("data-status", "delivered")
    await expect(card.get_by_role("button", name="2 in the thread")).to_be_visible()

    await page.reload()
    await expect(cards(page).first.get_by_role("button", name="2 in the thread")).to_be_visible()


async def test_everything_can_be_done_with_the_keyboard(page):
    keyboard = page.keyboard
    prompt = page.get_by_label("What to draw")
    await expect(prompt).to_be_focused()
    await keyboard.type("a red car --q")
    await expect(page.get_by_role("option", name="--quality")).to_have_attribute("aria-selected", "true")
    await keyboard.press("Tab")
    await keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", name="draft")).to_have_attribute("aria-selected", "true")
    await keyboard.press("Enter")
    await expect(prompt).to_have_value("a red car --quality draft ")
    await keyboard.press("Enter")
    card = cards(page).first
    await expect(card).to_have_attribute("data-status", "delivered")

    await card.get_by_role("button", name="More…").focus()
    await keyboard.press("Enter")
    await expect(card.get_by_role("menuitem", name="Info")).to_be_focused()
    await keyboard.press("ArrowUp")
    await expect(card.get_by_role("menuitem", name="Delete")).to_be_focused()
    await keyboard.press("Home")
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text("/imagine a red car --seed")
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await card.get_by_role("button", name="Open picture").focus()
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_flags_and_commands_complete_and_escape_closes_the_list(page):
    prompt, options = page.get_by_label("What to draw"), page.get_by_role("option")
    await prompt.press_sequentially("a cat —s")
    await expect(options.locator("b")).to_have_text(["--seed", "--steps", "--scheduler"])
    await page.keyboard.press("Escape")
    await expect(options).to_have_count(0)
    await prompt.fill("")
    await prompt.press_sequentially("/limner q")
    await expect(options.first).to_contain_text("/limner quota")


async def test_words_that_the_model_does_not_know_are_marked_with_the_price(page):
    await page.get_by_label("What to draw").fill("a zebra on a beach")
    await expect(page.locator("#hint")).to_contain_text("The built-in model does not know: zebra")
    await expect(page.locator("#hint")).to_contain_text("2048×2048 · 2 units")
    await expect(page.locator("#mirror mark")).to_have_text("zebra")


async def test_a_chip_fills_the_prompt(page):
    await page.get_by_role("button", name="a boat on a lake at night").click()
    await expect(page.get_by_label("What to draw")).to_have_value("a boat on a lake at night")


async def test_a_refusal_stays_until_the_text_is_mended(page):
    await page.get_by_label("What to draw").fill(f"a red car --stlye x {QUICK}")
    await page.keyboard.press("Enter")
    note = page.get_by_role("alert")
    await expect(note).to_contain_text("Unknown option --stlye")
    await note.get_by_role("button", name="Edit").click()
    await expect(page.get_by_label("What to draw")).to_be_focused()
    await expect(note).to_have_count(0)


async def test_remix_is_a_form_filled_in_and_the_seed_stays(page):
    card = await draw(page, f"a red car in a {{fog --seed 7 {QUICK}".replace("{", "\\{"))
    await card.get_by_role("button", name="Remix").click()
    form = page.get_by_role("dialog")
    await expect(form.get_by_label("Prompt")).to_have_value("a red car in a \\{fog")
    await form.get_by_label("Prompt").fill("a blue car")
    await form.get_by_label("Without").fill("fog --rain {a, b}")
    await form.get_by_label("Shape").select_option("16:9")
    await form.get_by_role("button", name="Draw").click()
    child = cards(page, "thread").nth(1)
    await expect(child).to_have_attribute("data-status", "delivered")
    await expect(child.locator(".asked")).to_have_text("a blue car")
    await expect(child.locator(".lineage")).to_contain_text('without "fog --rain {a, b}"')
    await expect(child.locator(".lineage")).to_contain_text("seed kept")


async def test_in_a_thread_one_says_only_what_changes(page):
    card = await draw(page, f"a red car --seed 7 {QUICK}")
    await card.get_by_role("button", name="Vary").click()
    await expect(cards(page, "thread").nth(1)).to_have_attribute("data-status", "delivered")
    await page.get_by_label("What changes").fill("at night")
    await page.keyboard.press("Enter")
    await expect(cards(page, "thread").nth(2).locator(".lineage")).to_contain_text('+"at night"')
    await page.get_by_role("button", name="Close the thread").click()
    await expect(page.get_by_role("heading", name="Last pictures")).to_be_visible()


async def test_four_pictures_are_picked_and_varied_by_number(page):
    card = await draw(page, f"a boat --n 4 --seed 7 {QUICK}")
    await expect(card.locator(".picture img")).to_have_count(4)
    await card.get_by_role("button", name="Pick picture 3").click()
    viewer = page.get_by_role("dialog", name="Picture")
    await expect(viewer).to_contain_text("seed 9")
    await page.keyboard.press("ArrowRight")
    await expect(viewer).to_contain_text("seed 10")
    await viewer.get_by_role("button", name="Full size").click()
    child = cards(page, "thread").nth(1)
    await expect(child.locator(".line")).to_contain_text("2048×2048")
    await card.get_by_role("button", name="Vary picture 2").click()
    await expect(cards(page, "thread").nth(2).locator(".lineage")).to_contain_text("#2")


async def test_delete_asks_first_and_leaves_the_recipe(page):
    card = await draw(page, f"a red car {QUICK}")
    for answer in ("Not now", "Delete"):
        await card.get_by_role("button", name="More…").click()
        await card.get_by_role("menuitem", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name=answer, exact=True).click()
    await expect(card.locator(".line")).to_contain_text("deleted")
    await card.get_by_role("button", name="Run again").click()
    await expect(cards(page, "thread").nth(1)).to_have_attribute("data-status", "delivered")


async def test_a_picture_is_reported_from_the_feed_and_from_the_thread_on_a_phone(page, site):
    card = await draw(page, f"a red car --n 2 {QUICK}")
    await card.get_by_role("button", name="Open picture 2").click()
    viewer = page.get_by_role("dialog", name="Picture")
    await viewer.get_by_role("button", name="More…").click()
    await viewer.get_by_role("menuitem", name="Report").click()
    await expect(page.get_by_role("alert")).to_contain_text("Reported to the operator")
    await page.set_viewport_size({"width": 390, "height": 800})
    await card.get_by_role("button", name="Re-roll").click()
    child = cards(page, "thread").nth(1)
    await child.get_by_role("button", name="Open picture 1").click()
    await viewer.get_by_role("button", name="More…").click()
    await viewer.get_by_role("menuitem", name="Report").click()
    await expect(page.get_by_role("dialog", name="Report")).to_contain_text("Reported to the operator")
    reports = await site.house.store.moderation.unsent()
    assert [(report.job.lineage is None, report.image_index) for report in reports] == [(True, 1), (False, 0)]


async def test_a_job_is_cancelled_and_run_again(page, site):
    await site.house.engine.close()
    await page.get_by_label("What to draw").fill(f"a red car {QUICK}")
    await page.keyboard.press("Enter")
    card = cards(page).first
    await card.get_by_role("button", name="Cancel").click()
    await expect(card.locator(".line")).to_contain_text("cancelled")
    await expect(card.get_by_role("button", name="Run again")).to_be_focused()


async def test_a_failure_says_what_to_try_next(page, faults):
    faults.write_text("fail out_of_memory\n")
    await page.get_by_label("What to draw").fill("a red car")
    await page.keyboard.press("Enter")
    card = cards(page).first
    await expect(card.locator(".line")).to_contain_text("not enough GPU memory for 2048 px, 2\u00a0units returned")
    await card.get_by_role("button", name="Try as draft").click()
    await expect(cards(page, "thread").nth(1).locator(".line")).to_contain_text("256×256")


async def test_permutations_are_priced_and_confirmed_first(page):
    await page.get_by_label("What to draw").fill(f"a {{red, blue}} car {QUICK}")
    await expect(page.locator("#hint")).to_contain_text("2 pictures")
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2 units")
    await expect(dialog.get_by_role("button", name="Draw 2")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(2)


async def test_a_prompt_is_only_ever_text(page):
    card = await draw(page, f"<img src=x onerror=alert(1)> <b>cat</b> {QUICK}")
    await expect(card.locator(".asked")).to_have_text("<img src=x onerror=alert(1)> <b>cat</b>")


async def test_on_a_phone_the_thread_is_a_sheet_and_nothing_overflows(page):
    await page.set_viewport_size({"width": 390, "height": 844})
    card = await draw(page, f"a red car {QUICK}")
    await card.get_by_role("button", name="Re-roll").click()
    await expect(cards(page, "thread").nth(1)).to_have_attribute("data-status", "delivered")
    await page.go_back()
    await expect(page.locator("#thread")).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_other_sites_cannot_read_or_frame_the_page(page, browser, site):
    stranger = await browser.new_page()
    await stranger.route("http://evil.example/", lambda route: route.fulfill(body="<p>hello"))
    await stranger.goto("http://evil.example/")
    with pytest.raises(Error, match="Failed to fetch"):
        await stranger.evaluate(f"fetch('{site.url}/api/jobs').then(r => r.text())")
    await stranger.close()
