"""Connecting each vendor by its form, the first chart, and leaving an account; on a program without the demo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mosquitto import PASSWORD, USER, Mosquitto
from playwright.sync_api import Browser, Locator, Page, expect
from program import Sungaze
from running import NARROW, WIDE, press, reach

from sungaze.emulators import Emulator, World, serve
from sungaze.emulators.cps import Cps

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SITES = 2
SEEN = {"cps": 1}
"""A gateway sees the inverters behind it, which are one site; everybody else sees all of SITES."""
PROBE_MS = 30_000
HISTORY_MS = 60_000
PLANS = {"enphase": "partner", "solaredge": "paid", "tigo": "premium", "generac": "dashboard", "cps": "local"}
WRONG = {
    "enphase": ("password", "not-the-password"),
    "solaredge": ("api_key", "not-the-key"),
    "tigo": ("password", "not-the-password"),
    "generac": ("profile_ids", "1"),
    "cps": ("port", "9"),
}
"""The field that is filled wrongly first, and with what: a key, or an address where nobody answers."""


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    """The five vendors over one world."""
    world = World(1, SITES, 6)
    with ExitStack() as stack:
        yield {vendor: stack.enter_context(serve(vendor, world, plan=plan)) for vendor, plan in PLANS.items()}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sungaze]:
    """A user's first Sungaze: nothing is connected."""
    running = Sungaze(tmp_path_factory.mktemp("connecting") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def page(browser: Browser, program: Sungaze) -> Iterator[Page]:
    """The window that the launch link opens, for the whole visit; no script may fail in it."""
    wrong: list[str] = []
    context = browser.new_context(
        viewport={"width": WIDE[0], "height": WIDE[1]}, timezone_id="Europe/Berlin", locale="en-GB"
    )
    opened = context.new_page()
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(program.link)
    yield opened
    context.close()
    assert wrong == []


def accounts(program: Sungaze) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program.client.get("/api/accounts").json()["items"]
    return found


def ids(program: Sungaze) -> list[int]:
    return [account["id"] for account in accounts(program)]


def declared(program: Sungaze, emulator: Emulator) -> dict[str, Any]:
    """The vendor's declaration, with the emulator's way in as `method` and its plan's label as `plan_label`."""
    vendor: dict[str, Any] = next(
        v for v in program.client.get("/api/vendors").json()["items"] if v["id"] == emulator.vendor
    )
    vendor["method"] = next(m for m in vendor["methods"] if m["id"] == emulator.method)
    vendor["plan_label"] = next(p["label"] for p in vendor["plans"] if p["id"] == emulator.plan)
    return vendor


def starting(label: str) -> re.Pattern[str]:
    # Playwright cannot carry an escaped slash in a name.
    return re.compile("^" + re.escape(label).replace("/", "."))


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(re.compile(rf"^\s*{re.escape(label)}(\s*\(optional\))?\s*$"))


def fill(page: Page, vendor: dict[str, Any], emulator: Emulator, *, but: dict[str, str] | None = None) -> None:
    """Fill the form as a user does who has the emulator's credentials, apart from what `but` names."""
    values = emulator.credentials | (but or {})
    if len(vendor["methods"]) > 1:
        page.get_by_role("radio", name=starting(vendor["method"]["label"])).check()
    if vendor["method"]["way"] == "ask":
        page.get_by_role("radio", name=starting(vendor["plan_label"])).check()
    for declared_field in vendor["method"]["fields"]:
        if declared_field["name"] in values:
            field(page, declared_field["label"]).fill(values[declared_field["name"]])
    base = page.get_by_label("Base address")
    if not base.is_visible():
        page.get_by_text("Advanced").click()
    base.fill(emulator.base_url)
    if vendor["method"]["consent"]:
        page.get_by_label("I agree to this.").check()


def look(page: Page) -> None:
    page.get_by_role("button", name="Look what it sees").click()


def refused(page: Page, said: str) -> None:
    """Look, and be told why the vendor refuses and that nothing was stored."""
    look(page)
    told = page.get_by_role("alert").filter(has_text=said)
    expect(told).to_be_visible(timeout=PROBE_MS)
    expect(told).to_contain_text("Nothing was stored.")


def sites_of(vendor: dict[str, Any]) -> str:
    n = SEEN.get(vendor["id"], SITES)
    return f"{n}\u00a0{'site' if n == 1 else 'sites'}"


def probed(page: Page, vendor: dict[str, Any]) -> None:
    expect(page.get_by_role("heading", name=f"It sees {sites_of(vendor)}")).to_be_visible(timeout=PROBE_MS)


def save(page: Page, vendor: dict[str, Any]) -> Locator:
    """Save what was probed; the account's card, once it tells the plan and its sites."""
    page.get_by_role("button", name="Save and start").click()
    card = page.get_by_role("article", name=vendor["name"])
    expect(card).to_contain_text(f"{vendor['plan_label']} plan", timeout=PROBE_MS)
    expect(card).to_contain_text(sites_of(vendor), timeout=PROBE_MS)
    return card


def to(page: Page, program: Sungaze, hash_: str) -> None:
    page.goto(f"{program.address}/{hash_}")


def test_from_the_first_run_to_the_first_chart(page: Page, program: Sungaze, emulators: dict[str, Emulator]) -> None:
    emulator = emulators["enphase"]
    vendor = declared(program, emulator)
    expect(page.get_by_role("heading", name="Every solar site in one window")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name=re.compile("^Enphase")).click()
    fill(page, vendor, emulator, but={"password": "not-the-password"})
    refused(page, "check the e-mail and password")
    field(page, "Enlighten password").fill(emulator.credentials["password"])
    field(page, "API key").fill("a-key-of-another-application")
    refused(page, "the key, the client ID and the client secret are those of one application")
    assert ids(program) == []
    field(page, "API key").fill(emulator.credentials["api_key"])
    look(page)
    probed(page, vendor)
    assert ids(program) == []
    save(page, vendor)
    page.get_by_role("navigation").get_by_role("link", name="Fleet").click()
    page.get_by_role("table").get_by_role("link").first.click()
    page.get_by_role("link", name="The day before").click()
    expect(page.get_by_role("slider")).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)


def test_an_account_is_connected_by_keyboard_alone(
    page: Page, program: Sungaze, emulators: dict[str, Emulator]
) -> None:
    emulator, before = emulators["tigo"], ids(program)
    vendor = declared(program, emulator)
    to(page, program, "#/")
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    page.keyboard.press("g")
    page.keyboard.press("c")
    main = page.get_by_role("main")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts")
    press(page, main.get_by_role("link", name="Connect an account"))
    press(page, page.get_by_role("list", name="Vendor").get_by_role("link", name=re.compile("^Tigo")))
    reach(page, page.get_by_role("radio", name=starting(vendor["plan_label"])))
    for declared_field in vendor["method"]["fields"]:
        reach(page, field(page, declared_field["label"]))
        page.keyboard.type(emulator.credentials[declared_field["name"]])
    page.keyboard.type("!")
    press(page, page.get_by_text("Advanced"))
    reach(page, page.get_by_label("Base address"))
    page.keyboard.type(emulator.base_url)
    press(page, page.get_by_role("button", name="Look what it sees"))
    expect(page.get_by_role("alert").filter(has_text="check user name and password")).to_be_visible(timeout=PROBE_MS)
    assert ids(program) == before
    reach(page, field(page, "Password"), back=True)
    page.keyboard.press("End")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    probed(page, vendor)
    press(page, page.get_by_role("button", name="Save and start"))
    card = page.get_by_role("article", name="Tigo")
    expect(card).to_contain_text(sites_of(vendor), timeout=PROBE_MS)
    assert len(ids(program)) == len(before) + 1


@pytest.mark.parametrize("name", [vendor for vendor in PLANS if vendor not in {"enphase", "tigo"}])
def test_each_vendor_is_connected_by_its_form_and_a_wrong_key_is_told(
    page: Page, program: Sungaze, emulators: dict[str, Emulator], name: str
) -> None:
    emulator, before = emulators[name], ids(program)
    vendor = declared(program, emulator)
    to(page, program, "#/accounts")
    page.get_by_role("main").get_by_role("link", name="Connect an account").click()
    page.get_by_role("list", name="Vendor").get_by_role("link", name=re.compile("^" + vendor["name"])).click()
    wrong, value = WRONG[name]
    missing = next(f for f in vendor["method"]["fields"] if f["required"])
    if missing["secret"]:
        expect(field(page, missing["label"])).to_have_attribute("type", "password")
        look(page)
        expect(page.get_by_role("alert")).to_contain_text(f"{missing['label']} is missing")
        expect(field(page, missing["label"])).to_be_focused()
    fill(page, vendor, emulator, but={wrong: value})
    look(page)
    expect(page.get_by_role("alert").filter(has_text="Nothing was stored.")).to_be_visible(timeout=PROBE_MS)
    assert ids(program) == before
    label = next(f["label"] for f in vendor["method"]["fields"] if f["name"] == wrong)
    expect(field(page, label)).to_have_value(value)
    field(page, label).fill(emulator.credentials[wrong])
    if vendor["method"]["consent"]:
        page.get_by_label("I agree to this.").uncheck()
        look(page)
        expect(page.get_by_role("alert")).to_contain_text("agree to it first")
        expect(page.get_by_label("I agree to this.")).to_be_focused()
        page.get_by_label("I agree to this.").check()
    look(page)
    probed(page, vendor)
    assert ids(program) == before
    save(page, vendor)
    assert len(ids(program)) == len(before) + 1


def gateways(emulators: dict[str, Emulator]) -> Cps:
    service = emulators["cps"].service
    assert isinstance(service, Cps)
    return service


def begin_cps(page: Page, program: Sungaze, method: str, **values: str) -> None:
    """Open the form of one of CPS's ways in and fill it by its labels."""
    to(page, program, f"#/accounts/connect?vendor=cps&method={method}")
    for label, value in values.items():
        field(page, label.replace("_", " ")).fill(value)


def last_message(card: Locator) -> Locator:
    """What a card says of the newest message that came."""
    return card.get_by_role("definition").first


def test_a_gateway_that_pushes_is_connected_by_its_form(
    page: Page, program: Sungaze, emulators: dict[str, Emulator]
) -> None:
    service, before = gateways(emulators), ids(program)
    begin_cps(page, program, "push", Shared_secret="too-short", Name_of_this_account="Pushing gateway")
    refused(page, "The shared secret needs 16 characters or more.")
    field(page, "Shared secret").fill(service.secret)
    look(page)
    expect(page.get_by_text("Nothing is seen before the gateway's first push")).to_be_visible(timeout=PROBE_MS)
    assert ids(program) == before
    page.get_by_role("button", name="Save and start").click()
    card = page.get_by_role("article", name="Pushing gateway")
    expect(card).to_contain_text("The gateway pushes by itself; nothing is asked.")
    expect(last_message(card)).to_have_text("not yet")
    address = card.get_by_role("code").inner_text()
    assert address.startswith(program.address)
    sender = service.start_push(address, sites=[1], running=False)
    sender.catch_up(0)
    assert [attempt.status for attempt in sender.attempts] == [200]
    expect(last_message(card)).not_to_have_text("not yet", timeout=PROBE_MS)
    expect(card).to_contain_text("1\u00a0site")


def test_gateways_at_a_broker_are_connected_by_its_form(
    page: Page, program: Sungaze, emulators: dict[str, Emulator], tmp_path: Path
) -> None:
    service, before = gateways(emulators), ids(program)
    with Mosquitto(tmp_path) as broker:
        publisher = service.start_mqtt("127.0.0.1", broker.port, user=USER, password=PASSWORD, sites=[0], running=False)
        begin_cps(
            page, program, "mqtt", Broker="127.0.0.1", Port=str(broker.port), User=USER, Password="not-the-password",
            TLS="no", Name_of_this_account="Own broker",
        )  # fmt: skip
        refused(page, "user and password")
        field(page, "Password").fill(PASSWORD)
        look(page)
        expect(page.get_by_text("Gateways that it knows of: 1.")).to_be_visible(timeout=PROBE_MS)
        assert ids(program) == before
        page.get_by_role("button", name="Save and start").click()
        card = page.get_by_role("article", name="Own broker")
        expect(card).to_contain_text("The gateways speak to your broker by themselves; nothing is asked.")
        expect(card).not_to_contain_text("not at the moment", timeout=PROBE_MS)
        publisher.catch_up(0)
        expect(last_message(card)).not_to_have_text("not yet", timeout=PROBE_MS)
        expect(card).to_contain_text("1\u00a0site")
        card.get_by_role("button", name="Disconnect").click()
        page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
        expect(card).to_have_count(0)


def test_history_is_kept_exported_deleted_by_name_and_found_again_after_reconnecting(
    page: Page, program: Sungaze, emulators: dict[str, Emulator]
) -> None:
    emulator = emulators["enphase"]
    vendor, before = declared(program, emulator), ids(program)
    kept, gone = (site for site in program.client.get("/api/sites").json()["items"] if site["vendor"] == "enphase")
    to(page, program, "#/accounts")
    card = page.get_by_role("article", name="Enphase")
    card.get_by_role("button", name="Disconnect").click()
    asked = page.get_by_role("dialog", name="Disconnect Enphase?")
    expect(asked).to_contain_text(f"Its {SITES} sites keep all history")
    asked.get_by_role("button", name="Cancel").click()
    assert ids(program) == before
    card.get_by_role("button", name="Disconnect").click()
    asked.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status").filter(has_text="Enphase is disconnected. Its history stays.")).to_be_visible()
    expect(card).to_have_count(0)
    assert len(ids(program)) == len(before) - 1

    archive = page.get_by_role("region", name="Kept history")
    expect(archive.get_by_role("listitem")).to_have_count(SITES)
    line = archive.get_by_role("listitem").filter(has_text=kept["name"])
    with page.expect_download() as csv:
        line.get_by_role("link", name=re.compile("Export")).click()
    lines = csv.value.path().read_text().splitlines()
    assert lines[0].startswith("vendor,vendor_site_id")
    assert len(lines) > 1
    assert {row.split(",")[1] for row in lines[1:]} == {kept["vendor_site_id"]}

    archive.get_by_role("listitem").filter(has_text=gone["name"]).get_by_role(
        "button", name=re.compile("Delete")
    ).click()
    sure = page.get_by_role("dialog", name=f"Delete the history of {gone['name']}")
    delete = sure.get_by_role("button", name="Delete for good")
    expect(delete).to_be_disabled()
    sure.get_by_role("textbox").fill("something else")
    expect(delete).to_be_disabled()
    sure.get_by_role("textbox").fill(gone["name"])
    delete.click()
    expect(archive.get_by_role("listitem")).to_have_count(1)
    assert program.client.get(f"/api/sites/{gone['id']}").status_code == 404

    page.get_by_role("main").get_by_role("link", name="Connect an account").click()
    page.get_by_role("list", name="Vendor").get_by_role("link", name=re.compile("^Enphase")).click()
    fill(page, vendor, emulator)
    look(page)
    probed(page, vendor)
    expect(page.get_by_role("listitem").filter(has_text=kept["name"])).to_contain_text("known already")
    save(page, vendor)
    expect(archive).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="Enphase is disconnected")).to_have_count(0)
    back = program.client.get(f"/api/sites/{kept['id']}").json()
    assert (back["archived"], back["vendor_site_id"]) == (False, kept["vendor_site_id"])
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
