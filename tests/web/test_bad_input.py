"""What the pages make of answers that are slow, absent, empty, half-filled or odd; one visit looks at many of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from program import Sungaze
from running import NARROW, Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MANY = 2000
HISTORY_MS = 60_000
ATTACK = "<img src=x onerror=\"document.title='taken'\">"
ODD_NAMES = [
    "Roof" * 50,
    "مزرعة الطاقة الشمسية " + ATTACK,
    "☀️🏡👩‍👩‍👧‍👦 " + ATTACK,
    "\u202etxt.exe\u202c <script>document.title='taken'</script>",
    "",
]
PAGES = {
    "#/": r"/api/(sites|fleet)",
    "#/alerts": r"/api/alerts",
    "#/places": r"/api/places",
    "#/accounts": r"/api/accounts",
    "#/sites/{site}": r"/api/sites/\d+",
    "#/sites/{site}/panels": r"/api/sites/\d+/layout/day",
    "#/sites/{site}/devices": r"/api/sites/\d+/devices",
    "#/sites/{site}/data": r"/api/sites/\d+/completeness",
}
"""Each page and the answers that make it."""
PROBLEM = {"type": "about:blank", "title": "Odd", "status": 500, "detail": "The test broke it.", "errors": []}


@pytest.fixture(scope="module")
def site(demo: Sungaze) -> dict[str, Any]:
    """An Enphase site of the demo, by its detail."""
    items = demo.client.get("/api/sites", params={"limit": 1000, "sort": "id"}).json()["items"]
    number = next(item["id"] for item in items if item["vendor"] == "enphase")
    found: dict[str, Any] = demo.client.get(f"/api/sites/{number}").json()
    return found


def to(page: Page, hash_: str) -> None:
    """A page as a reload shows it: nothing is remembered of what was answered before."""
    page.goto(f"{page.url.split('#')[0]}{hash_}")
    page.reload()


def answering(page: Page, path: str, answer: Any, status: int = 200) -> None:
    page.route(
        re.compile(rf"{path}($|\?)"),
        lambda route: route.fulfill(status=status, content_type="application/json", body=json.dumps(answer)),
    )


def changing(page: Page, path: str, change: Callable[[Any], Any]) -> None:
    """Have an answer of the server changed on its way."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=json.dumps(change(response.json())))

    page.route(re.compile(rf"{path}($|\?)"), answer)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def settled(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    expect(page.locator("main .skeleton")).to_have_count(0, timeout=HISTORY_MS)


def test_an_answer_of_500_is_told_in_its_place_and_asked_again(opened: Opens, site: dict[str, Any]) -> None:
    mended: set[str] = set()

    def broken(hash_: str, path: str) -> Callable[[Page], None]:
        def answer(route: Route) -> None:
            if hash_ in mended:
                route.continue_()
            else:
                route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(PROBLEM))

        return lambda page: page.route(re.compile(rf"{path}($|\?)"), answer)

    pages = [
        (hash_, opened(hash_.format(site=site["id"]), size=NARROW, refused=(500,), before=broken(hash_, path)))
        for hash_, path in PAGES.items()
    ]
    for hash_, page in pages:
        told = page.get_by_role("main").get_by_role("alert").filter(has_text="The test broke it.")
        expect(told.first, hash_).to_be_visible(timeout=HISTORY_MS)
        assert fits(page), hash_
        told.first.get_by_role("button", name="Try again").click()
        # What fails is asked twice more, which the page need not be told of.
        mended.add(hash_)
        expect(told, hash_).to_have_count(0)


def test_a_404_says_that_there_is_no_such_site_or_place_and_a_401_asks_for_the_link(
    opened: Opens, site: dict[str, Any]
) -> None:
    page = opened("#/sites/999999", refused=(404, 401))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("no such site", re.I))
    to(page, "#/places/999999")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("no such place", re.I))
    to(page, f"#/sites/{site['id']}/devices/999999")
    expect(page.get_by_role("main").get_by_text(re.compile("no such device", re.I)).first).to_be_visible()
    answering(page, r"/api/alerts", PROBLEM | {"status": 401}, 401)
    answering(page, r"/api/health", {"status": "ok", "version": "1", "demo": True, "session": False})
    page.evaluate("location.hash = '#/alerts'")
    expect(page.get_by_role("heading", name="This window needs its link")).to_be_visible()


@pytest.mark.parametrize(
    ("hash_", "held"), [("#/", "[aria-label='Filter the list']"), ("#/sites/{site}", "nav.tabs ~ *")]
)
def test_a_slow_answer_finds_its_place_held(opened: Opens, site: dict[str, Any], hash_: str, held: str) -> None:
    waiting: list[Route] = []
    slow = True

    def hold(route: Route) -> None:
        if slow:
            waiting.append(route)
        else:
            route.continue_()

    path = re.compile(r"/api/(sites|fleet|accounts|alerts)")
    page = opened(hash_.format(site=site["id"]), before=lambda page: page.route(path, hold))
    expect(page.locator("main .skeleton").first).to_be_attached()
    before = page.locator(held).first.bounding_box()
    slow = False
    for route in waiting:
        route.continue_()
    settled(page)
    after = page.locator(held).first.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) <= 2, (before, after)


def test_nothing_at_all_is_said_on_each_page(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/about", size=NARROW)
    empty = {"items": [], "total": 0}
    for path in (r"/api/sites", r"/api/alerts", r"/api/places", r"/api/accounts", r"/api/sites/\d+/devices"):
        answering(page, path, empty)
    changing(page, r"/api/fleet", lambda answer: answer | {"places_total": 1})
    here = f"#/sites/{site['id']}"
    for hash_, words in (
        ("#/", "No sites yet"),
        ("#/alerts", "Nothing is wrong|No alert"),
        ("#/places", "No place"),
        ("#/accounts", "No account is connected"),
        (f"{here}/devices", "No devices are known of this site yet."),
        (f"{here}/alerts", "Nothing is wrong|No alert"),
    ):
        to(page, hash_)
        expect(page.get_by_role("main").get_by_text(re.compile(words)).first, hash_).to_be_visible()
        assert fits(page), hash_
    changing(page, r"/api/fleet", lambda answer: answer | {"places_total": 0})
    to(page, "#/")
    expect(page.get_by_role("heading", name="Every solar site in one window")).to_be_visible()


NULLED = [
    "peak_power_kw", "power_w", "power_interval_s", "measured_at", "fetched_at", "last_report_at", "next_look_at",
    "energy_today_wh", "energy_yesterday_wh", "yield_yesterday_kwh_per_kwp", "timezone", "trouble_since",
    "loss_wh_per_day", "customer", "alias", "latitude", "longitude", "tilt", "azimuth", "installed_on", "connection",
    "not_visible_since", "sunrise", "sunset", "day_start", "day_end", "energy_month_wh", "energy_lifetime_wh",
    "daily_from", "fine_from",
]  # fmt: skip
"""What may be null of a site."""


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """A site of which nothing is known."""
    nulls = dict.fromkeys(name for name in NULLED if name in answer)
    lists = {"metrics": [], "device_types": {}, "differs": []} if "metrics" in answer else {}
    return answer | nulls | lists | {"freshness": "never", "reason_code": "never", "trouble": "", "tags": []}


def test_objects_with_nothing_in_them_are_drawn_as_not_known(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/about", size=NARROW)
    changing(page, r"/api/sites", lambda a: a | {"items": [bare(one) for one in a["items"]]})
    changing(page, r"/api/sites/\d+", bare)
    changing(page, r"/api/fleet", lambda a: a | {
        "at": None, "power_w": None, "energy_today_wh": None, "energy_today_places": 0, "kwp": 0, "kwp_total": 0,
        "yesterday": {"energy_wh": None, "kwh_per_kwp": None, "places": 0},
    })  # fmt: skip
    nothing = (
        "serial_number name model manufacturer part_number firmware installed_on parent_id last_reported_at power_w"
    )
    nothing += " measured_at figure energy_today_wh replaces_id replaced_by_id rated_w parent replaces replaced_by"
    unknown = dict.fromkeys(nothing.split())
    changing(page, r"/api/sites/\d+/devices", lambda a: {"items": [one | unknown for one in a["items"]]})
    changing(page, r"/api/sites/\d+/layout/day", lambda a: a | {
        "cells": [c | {
            "serial_number": None, "name": None, "inverter_id": None, "string_id": None, "position": None,
            "values": [None for _ in c["values"]],
        } for c in a["cells"]]
    })  # fmt: skip
    who = (
        "site_id site_name place_id place_name account_id account_label timezone device_name device_serial device_type"
    )
    changing(page, r"/api/alerts", lambda a: a | {
        "items": [one | dict.fromkeys(who.split()) | {"device_id": 0, "description": ""} for one in a["items"]]
    })  # fmt: skip
    changing(page, r"/api/accounts", lambda a: {"items": [one | {
        "last_fetch_at": None, "next_look_at": None, "history_from": None, "base_url": None, "quotas": [],
        "listening_since": None, "push_path": None, "paused_at": None, "label": "",
    } for one in a["items"]]})  # fmt: skip
    here = f"#/sites/{site['id']}"
    for hash_ in ("#/", "#/alerts", "#/accounts", here, f"{here}?range=year", f"{here}/panels", f"{here}/devices",
                  f"{here}/alerts", f"{here}/data"):  # fmt: skip
        to(page, hash_)
        settled(page)
        words = page.get_by_role("main").inner_text()
        assert not re.search(r"\b(null|undefined|NaN|Infinity|Invalid Date|\[object)\b", words), (hash_, words)
        assert "1970" not in words, hash_
        assert fits(page), hash_


def test_an_odd_name_is_only_text_wherever_it_stands(opened: Opens, site: dict[str, Any], demo: Sungaze) -> None:
    page = opened("#/about", size=NARROW)

    def named(answer: dict[str, Any]) -> dict[str, Any]:
        keys = ("name", "site_name", "place_name", "label", "account_label", "trouble", "customer", "assignee")
        keys += ("device_name", "description", "serial_number", "device_serial", "address")
        items = [
            one | {key: ODD_NAMES[n % len(ODD_NAMES)] for key in keys if key in one}
            for n, one in enumerate(answer["items"])
        ]
        return answer | {"items": items}

    for path in (r"/api/sites", r"/api/alerts", r"/api/places", r"/api/accounts", r"/api/sites/\d+/devices"):
        changing(page, path, named)
    changing(page, r"/api/sites/\d+/layout/day", lambda a: a | {
        "cells": [c | {"serial_number": ODD_NAMES[n % 5]} for n, c in enumerate(a["cells"])],
    })  # fmt: skip
    changing(page, r"/api/sites/\d+", lambda a: a | {"name": ODD_NAMES[1], "address": ODD_NAMES[0]})
    changing(page, r"/api/places/\d+", lambda a: a | {
        "name": ODD_NAMES[2], "customer": ODD_NAMES[0], "address": ODD_NAMES[1], "notes": ODD_NAMES[3],
    })  # fmt: skip
    here = f"#/sites/{site['id']}"
    for hash_ in ("#/", "#/alerts", "#/places", "#/places/1", "#/accounts", here, f"{here}/panels",
                  f"{here}/devices", f"{here}/alerts"):  # fmt: skip
        to(page, hash_)
        settled(page)
        assert page.locator("main img, main script").count() == 0, hash_
        assert not page.title().startswith("taken"), hash_
        assert fits(page), hash_
    expect(page.get_by_role("heading", level=1)).to_have_text(ODD_NAMES[1])


def test_figures_that_are_enormous_or_negative_keep_within_the_fleet(opened: Opens) -> None:
    page = opened("#/about", size=NARROW)
    sizes: list[float | None] = [1e15, -40.0, None, 0.0]

    def wild(answer: dict[str, Any]) -> dict[str, Any]:
        keys = ("power_w", "energy_today_wh", "energy_yesterday_wh", "loss_wh_per_day", "peak_power_kw")
        keys += ("yield_yesterday_kwh_per_kwp",)
        items = [
            one | dict.fromkeys(keys, sizes[n % 4]) | {"freshness": "fresh", "measured_at": 1}
            for n, one in enumerate(answer["items"])
        ]
        return answer | {"items": items}

    changing(page, r"/api/sites", wild)
    changing(page, r"/api/fleet", lambda a: a | {
        "power_w": 1e15, "kwp": 1e12, "energy_today_wh": -3.0, "places": 10**9, "places_total": 10**9,
        "yesterday": {"energy_wh": 1e18, "kwh_per_kwp": 1e6, "places": 10**9},
    })  # fmt: skip
    changing(page, r"/api/fleet/sparklines", lambda a: a | {
        "items": [one | {"values": [sizes[n % 4] for n, _ in enumerate(one["values"])]} for one in a["items"]],
    })  # fmt: skip
    to(page, "#/")
    settled(page)
    expect(page.get_by_text(re.compile(r"1,000,000.GW|1,000.TW")).first).to_be_visible()
    assert fits(page)
    page.set_viewport_size({"width": 1360, "height": 860})
    assert fits(page)


def test_two_thousand_sites_are_a_list_of_which_little_is_drawn(opened: Opens) -> None:
    page = opened("#/about")

    def many(answer: dict[str, Any]) -> dict[str, Any]:
        first = answer["items"][0]
        items = [first | {"id": 10_000 + n, "name": f"Roof {n}"} for n in range(MANY)]
        return {"items": items, "total": MANY}

    changing(page, r"/api/sites", many)
    to(page, "#/?group=none")
    rows = page.get_by_role("table").get_by_role("row")
    expect(page.get_by_role("link", name="Roof 0", exact=True)).to_be_visible()
    assert rows.count() < 80
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("link", name=f"Roof {MANY - 1}", exact=True)).to_be_visible()
    assert rows.count() < 80


def test_five_thousand_panels_and_none(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/about")
    panels = 5000

    def many(answer: dict[str, Any]) -> dict[str, Any]:
        start = answer["start"]
        blank = {"name": None, "status": "normal", "inverter_id": None, "string_id": None, "position": None}
        cells = [
            blank | {"device_id": n + 1, "serial_number": f"S{n}", "row": n // 20, "column": n % 20, "values": [n / 20]}
            for n in range(panels)
        ]
        return answer | {"columns": 20, "timestamps": [start + 43_200], "interval_s": 300, "cells": cells}

    changing(page, r"/api/sites/\d+/layout/day", many)
    to(page, f"#/sites/{site['id']}/panels")
    cells = page.get_by_role("grid").get_by_role("button")
    expect(cells.first).to_be_visible()
    expect(page.get_by_text(re.compile(r"5,000.panels"))).to_be_visible()
    assert cells.count() < 800
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert cells.count() < 800
    page.unroute_all()
    changing(page, r"/api/sites/\d+/layout/day", lambda a: a | {"cells": [], "timestamps": []})
    to(page, f"#/sites/{site['id']}/panels")
    expect(page.get_by_role("heading", name="No panels yet")).to_be_visible()


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_of_another_length_is_drawn_as_such(opened: Opens, site: dict[str, Any], date: str, hours: int) -> None:
    page = opened("#/about")
    changing(page, rf"/api/sites/{site['id']}", lambda answer: answer | {"timezone": "Europe/Berlin"})
    to(page, f"#/sites/{site['id']}?date={date}")
    expect(page.get_by_text(f"this day has {hours} hours")).to_be_visible()
    curve = page.get_by_role("slider")
    span = int(curve.get_attribute("aria-valuemax") or 0) - int(curve.get_attribute("aria-valuemin") or 0)
    assert span == hours * 3600


def test_a_site_at_the_other_end_of_the_world_tells_its_own_time(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/about", size=NARROW)
    changing(page, rf"/api/sites/{site['id']}", lambda answer: answer | {"timezone": "Pacific/Kiritimati"})
    to(page, f"#/sites/{site['id']}")
    expect(page.get_by_text(re.compile("13.h ahead of you"))).to_be_visible()
    assert fits(page)
