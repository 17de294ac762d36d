"""Generac: the form and the cookies, answers judged by content, states, series, epochs (vendors/generac.md)."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import Any

import msgspec
import pytest
from vendor_doors import NOON, Asked, Door, Hands, by_key, door_to, instant, site_ref, told

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable, VendorError
from sungaze.model import DAY_S, Communication, DeviceStatus, DeviceType, Severity, SiteStatus, Span
from sungaze.vendors._contract import Response
from sungaze.vendors.generac import (
    CONNECTOR,
    STATES,
    VENDOR,
    Evidence,
    _Row,
    day_energies,
    epoch_base,
    judge,
    merged,
    pasted_cookies,
    read_charge,
    read_form,
    read_hours,
    read_instants,
    read_profile_ids,
    read_stamp,
    read_title,
    shines_by_night,
    state_of,
)

CHICAGO, BERLIN = "America/Chicago", "Europe/Berlin"
NOW_SPAN = Span(NOON, NOON)
LOOK = ("state", NOW_SPAN)
PUBLIC = {"profile_ids": "1234567"}
LOGIN = {"email": "owner@sungaze.example", "password": "invented-password-6711"}
COOKIE = {"cookie": "remember_token=invented-token-6712; session=invented-session-6713"}
EXAMPLE = (
    '{"dvcs":[{"s":"0001000712AB","n":"PWRcell Inverter","t":"Inverter","st":2080,"p":4210,"et":21456789,'
    '"up":"2026-06-01 17:30:12 UTC","ti":"2024-06-01 00:00:00 UTC","O5":"0"},'
    '{"s":"0001000301A1","n":"PV Link 1","t":"PV Module","st":8208,"p":2150,"et":11034567,'
    '"up":"2026-06-01 17:30:05 UTC","ti":"2024-06-01 00:00:00 UTC","O5":"0"},'
    '{"s":"0001000801B2","n":"PWRcell Battery","t":"Battery","st":24576,"p":-600,"et":5012345,'
    '"up":"2026-06-01 17:30:08 UTC","ti":"2024-06-01 00:00:00 UTC","O5":"845"}]}'
)
"""The example of section 2.1, its day moved to the tests' own."""
SIGN_IN = (
    '<form action="/login" method="POST"><input type="hidden" name="csrf_token" value="EXAMPLE">'
    '<input name="email" type="text"><input name="password" type="password">'
    '<input name="remember" type="checkbox" value="y"><button type="submit">Sign in</button></form>'
)
DASHBOARD = (
    '<title>Example House - Dashboard</title> <a href="/users/1234567">profile</a> '
    '<script>var profile="/1234567.json";</script>'
)
HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}


def device(**changed: Any) -> dict[str, Any]:
    plain = {"s": "0001000301A1", "n": "PV Link 1", "t": "PV Module", "st": 8208, "p": 2150, "et": 11034567,
             "up": "2026-06-01 17:30:05 UTC", "ti": "2024-06-01 00:00:00 UTC", "O5": "0"}  # fmt: skip
    return {name: value for name, value in (plain | changed).items() if value != "absent"}


def listed(*devices: dict[str, Any]) -> bytes:
    return json.dumps({"dvcs": list(devices)}).encode()


@pytest.fixture
def home(start: Any) -> Any:
    """Generac's emulator as if it had just begun."""
    emulator = start("generac")
    emulator.service.begin_anew()
    return emulator


@pytest.fixture
def door(home: Any, opened: Any, clock: Hands) -> Any:
    def begin(method: str = "public_profile", credentials: Any = None, **options: Any) -> Door:
        known = {"public_profile": home.credentials, "login": home.service.sign_in}
        made: Door = opened(Door("generac", home.base_url, credentials or known[method], clock, **options))
        made.access.method = method
        return made

    return begin


@pytest.fixture
def played(script: Any, opened: Any, clock: Hands) -> Any:
    """A door to a scripted Generac."""

    def begin(answers: Any, method: str = "public_profile", credentials: Any = None, **options: Any) -> Any:
        server = script(answers if callable(answers) else lambda _: answers)
        known = {"public_profile": PUBLIC, "login": LOGIN, "cookie": COOKIE}
        made = opened(Door("generac", server.url, credentials or known[method], clock, **options))
        made.access.method = method
        return made, server

    return begin


def look(door: Door, number: str = "1234567", zone: str | None = CHICAGO) -> Any:
    return door.connector.fetch(door.access, *("state", site_ref(number, zone), NOW_SPAN))


def first(home: Any) -> str:
    return str(home.credentials["profile_ids"].split(",")[0])


# -- declared --------------------------------------------------------------------------------------------------------


def test_every_way_in_asks_for_consent_and_says_that_it_may_break() -> None:
    assert [method.id for method in VENDOR.methods] == ["public_profile", "login", "cookie"]
    assert all("unofficial" in m.consent and "terms" in m.consent for m in VENDOR.methods)
    assert any("no interface" in note for note in VENDOR.notes)


def test_nothing_is_looked_at_more_than_once_in_half_an_hour() -> None:
    state = VENDOR.resource("state")
    assert state is not None
    assert (state.every_s, state.least_s, state.night) == (1800, 1700, False)
    assert (VENDOR.late_min, VENDOR.stale_min) == (180, 480)


# -- probe and list --------------------------------------------------------------------------------------------------


def test_public_profiles_are_listed_without_a_call_and_probed_with_one(home: Any, door: Any, world: World) -> None:
    public = door()
    seen = CONNECTOR.probe(public.access)
    assert public.session.calls == 1
    assert [site.vendor_site_id for site in seen.sites] == home.credentials["profile_ids"].split(",")
    assert seen.sites[0].name == world.site("generac", 0).name
    assert (seen.total, seen.panels) == (4, False)
    answer = CONNECTOR.list_sites(public.access)
    assert (len(answer.sites), answer.complete, public.session.calls) == (4, True, 1)


@pytest.mark.parametrize(
    "text",
    ["1234567", " 1234567, 1234567 ;", "https://pwrcell.generac.com/users/1234567", "/1234567.json", "users/1234567/"],
)  # fmt: skip
def test_a_profile_number_is_read_from_what_people_paste(text: str, played: Any) -> None:
    door, _ = played((200, b""), credentials={"profile_ids": text})
    assert [site.vendor_site_id for site in CONNECTOR.list_sites(door.access).sites] == ["1234567"]


@pytest.mark.parametrize("text", ["123", "house", "1234567, my house", ",", "1234567890123", "١٢٣٤٥٦٧"])
def test_what_is_no_profile_number_is_said_so(text: str, played: Any) -> None:
    door, server = played((200, b""), credentials={"profile_ids": text})
    with pytest.raises(NeedsReconnect, match="five to twelve digits"):
        CONNECTOR.list_sites(door.access)
    assert not server.asked


def test_a_login_sees_every_profile_of_the_dashboard(home: Any, door: Any) -> None:
    owner = door("login")
    seen = CONNECTOR.probe(owner.access)
    assert [site.vendor_site_id for site in seen.sites] == home.credentials["profile_ids"].split(",")
    assert [r.path for r in home.requests] == ["/login", "/login", "/dashboard"]
    assert CONNECTOR.list_sites(owner.access).complete
    assert [r.path for r in home.requests][3:] == ["/dashboard"], "the cookies are kept"


def test_a_dashboard_that_names_no_profile_asks_for_it(played: Any) -> None:
    door, _ = played((200, b"<html>hello</html>", HTML), "cookie")
    with pytest.raises(Changed, match="Enter the profile number"):
        CONNECTOR.list_sites(door.access)
    door, _ = played((200, b"<html>hello</html>", HTML), "cookie", {**COOKIE, "profile_ids": "7654321"})
    assert [site.vendor_site_id for site in CONNECTOR.list_sites(door.access).sites] == ["7654321"]


def test_the_page_of_a_profile_gives_its_name(home: Any, door: Any, world: World) -> None:
    answer = CONNECTOR.fetch(door().access, "details", site_ref(first(home)), NOW_SPAN)
    assert answer.sites[0].name == world.site("generac", 0).name
    assert not answer.complete


# -- the form --------------------------------------------------------------------------------------------------------


def test_the_form_of_the_page_is_read() -> None:
    form = read_form(SIGN_IN, "/login")
    assert form is not None
    assert (form.action, form.method, form.user, form.password) == ("/login", "POST", "email", "password")
    assert form.fields == {"csrf_token": "EXAMPLE", "remember": "y"}
    assert "EXAMPLE" not in repr(form)


@pytest.mark.parametrize(
    ("html", "action", "user", "password"),
    [
        ("<form><input name=q></form><form action=do><input name=u type=email><input name=p type=password></form>",
         "/do", "u", "p"),
        ("<form method=post action='/a?b=c'><input name=code><input name=user_mail><input name=x type=pass></form>",
         "/a?b=c", "user_mail", "x"),
        ("<form action='https://pwrcell.generac.com/in'><input type=password></form>", "/in", "email", "password"),
        ("<form><input type=password name=pw></form>", "/login", "email", "pw"),
    ],
)  # fmt: skip
def test_other_forms_are_read_by_what_they_have(html: str, action: str, user: str, password: str) -> None:
    form = read_form(html.replace("type=pass>", "type=password>"), "/login")
    assert form is not None
    assert (form.action, form.user, form.password) == (action, user, password)


@pytest.mark.parametrize(
    "html",
    [
        "", "<p>nothing", "\x00<form>", "<form><input name=email></form>",
        "<form method=get><input type=password name=p></form>",
        "<form action='https://elsewhere.example/login'><input type=password name=p></form>",
        "<form action='//elsewhere.example/login'><input type=password name=p></form>",
        "<form action='http://pwrcell.generac.com/login'><input type=password name=p></form>",
        "<form action='javascript:alert(1)'><input type=password name=p></form>",
        "<form action='http://['><input type=password name=p></form>",
    ],
)  # fmt: skip
def test_a_form_that_would_give_the_password_away_is_none(html: str) -> None:
    assert read_form(html, "/login") is None


def test_a_changed_form_is_filled_in_by_its_own_names(home: Any, door: Any) -> None:
    home.faults["form_names"] = 1.0
    owner = door("login")
    CONNECTOR.list_sites(owner.access)
    assert [(r.method, r.path) for r in home.requests][:2] == [("GET", "/login"), ("POST", "/session/new")]


def test_the_password_goes_in_the_body_and_nowhere_else(played: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)

    def answers(asked: Asked) -> Any:
        if asked.method == "POST":
            return 302, b"", {"location": "/dashboard", "set-cookie": "remember_token=secret-6799; HttpOnly"}
        return 200, (SIGN_IN if asked.path == "/login" else DASHBOARD).encode(), HTML

    door, server = played(answers, "login")
    CONNECTOR.list_sites(door.access)
    assert b"password=invented-password-6711" in server.asked[1].body
    assert b"csrf_token=EXAMPLE" in server.asked[1].body
    assert server.asked[1].headers["referer"].endswith("/login")
    assert server.asked[2].headers["cookie"] == "remember_token=secret-6799"
    everything = caplog.text + repr(door.access) + "".join(a.target for a in server.asked)
    assert not [word for word in ("6711", "6799", "EXAMPLE") if word in everything]


def test_a_wrong_password_is_refused_and_not_tried_again_that_day(home: Any, door: Any, clock: Hands) -> None:
    wrong = door("login", {**home.service.sign_in, "password": "wrong"})
    for _ in range(2):
        with pytest.raises(NeedsReconnect):
            CONNECTOR.probe(wrong.access)
    assert [r.method for r in home.requests].count("POST") == 1
    clock.now += DAY_S
    with pytest.raises(NeedsReconnect, match="check the e-mail and the password"):
        CONNECTOR.probe(wrong.access)
    assert [r.method for r in home.requests].count("POST") == 2


def test_a_new_password_is_tried_at_once(home: Any, door: Any) -> None:
    wrong = door("login", {**home.service.sign_in, "password": "wrong"})
    with pytest.raises(NeedsReconnect):
        CONNECTOR.probe(wrong.access)
    right = door("login", memory=wrong.memory)
    assert CONNECTOR.probe(right.access).total == 4


def test_a_login_without_an_answer_waits_a_day_and_asks_for_nothing(played: Any, clock: Hands) -> None:
    def answers(asked: Asked) -> Any:
        return (
            (503, b"busy") if asked.method == "POST" else (200, SIGN_IN.encode(), {**HTML, "set-cookie": "session=a"})
        )

    door, server = played(answers, "login")
    with pytest.raises(Unavailable):
        CONNECTOR.list_sites(door.access)
    with pytest.raises(Unavailable, match="did not say") as caught:
        CONNECTOR.list_sites(door.access)
    assert caught.value.retry_after_s == DAY_S
    assert [asked.method for asked in server.asked].count("POST") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, b"<html>welcome back</html>", HTML), None),
        ((302, b"", {"location": "https://elsewhere.example/"}), Changed),
        ((302, b"", {"location": "//elsewhere.example/"}), Changed),
        ((302, b"", {"location": "/login?error=1"}), NeedsReconnect),
        ((200, SIGN_IN.encode(), HTML), NeedsReconnect),
        ((400, b"<html>expired</html>", HTML), Changed),
        ((403, b"<html>no</html>", HTML), Unavailable),
        ((429, b"", HTML), Unavailable),
        ((500, b"", HTML), Unavailable),
    ],
)
def test_every_answer_to_a_login_ends_in_its_error(answer: Any, kind: Any, played: Any) -> None:
    def answers(asked: Asked) -> Any:
        if asked.method == "POST":
            return answer
        return 200, (SIGN_IN if asked.path == "/login" else DASHBOARD).encode(), {**HTML, "set-cookie": "session=a"}

    door, _ = played(answers, "login")
    if kind is None:
        assert CONNECTOR.list_sites(door.access).sites
        return
    with pytest.raises(kind) as caught:
        CONNECTOR.list_sites(door.access)
    assert "6711" not in told(caught.value)


# -- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["expired_302", "expired_page", "expired_401"])
def test_an_ended_session_costs_one_login_and_one_repeat(fault: str, home: Any, door: Any, clock: Hands) -> None:
    home.faults["private"] = 1.0
    owner = door("login")
    look(owner, first(home))
    clock.now += DAY_S
    home.requests.clear()
    home.faults[fault] = 1.0

    class Once:
        def __call__(self) -> float:
            if len(home.requests) >= 1:
                home.faults.pop(fault, None)
            return clock.now

    owner.access.now = Once()
    assert look(owner, first(home)).readings
    number = first(home)
    assert [(r.method, r.path) for r in home.requests][:4] == [
        ("GET", f"/{number}.json"), ("GET", "/login"), ("POST", "/login"), ("GET", f"/{number}.json"),
    ]  # fmt: skip


@pytest.mark.parametrize("fault", ["expired_302", "expired_page", "expired_401"])
def test_a_session_that_never_holds_needs_the_user(fault: str, home: Any, door: Any, clock: Hands) -> None:
    home.faults[fault] = 1.0
    owner = door("login")
    with pytest.raises(NeedsReconnect, match="as soon as it is signed in"):
        look(owner, first(home))
    assert [r.method for r in home.requests].count("POST") == 1
    with pytest.raises(NeedsReconnect, match="within the last day"):
        look(owner, first(home))
    assert [r.method for r in home.requests].count("POST") == 1


def test_cookies_that_die_within_a_day_need_the_user(home: Any, door: Any, clock: Hands) -> None:
    home.faults["private"] = 1.0
    owner = door("login")
    look(owner, first(home))
    clock.now += 13 * 3600
    with pytest.raises(NeedsReconnect, match="istory is kept"):
        look(owner, first(home))
    clock.now += 12 * 3600
    assert look(owner, first(home)).devices


def test_a_pasted_token_gets_its_session_from_the_front_page(home: Any, door: Any, clock: Hands) -> None:
    home.faults["private"] = 1.0
    owner = door("login")
    look(owner, first(home))
    token = json.loads(owner.memory["cookies"])["remember_token"]
    home.requests.clear()
    pasted = door("cookie", {"cookie": token})
    assert look(pasted, first(home)).devices
    assert [r.path for r in home.requests] == ["/", f"/{first(home)}.json"] or home.requests[0].path == "/"
    clock.now += 13 * 3600
    home.requests.clear()
    assert look(pasted, first(home), None).devices
    assert [r.path for r in home.requests] == [f"/{first(home)}.json", "/", f"/{first(home)}.json"]


def test_a_dead_token_needs_the_user(home: Any, door: Any) -> None:
    home.faults["private"] = 1.0
    pasted = door("cookie", {"cookie": "remember_token=nothing-6712; session=nothing-6713"})
    with pytest.raises(NeedsReconnect) as caught:
        look(pasted, first(home))
    assert "nothing" not in told(caught.value)


def test_a_cookie_without_the_token_is_said_so(home: Any, door: Any) -> None:
    home.faults["private"] = 1.0
    pasted = door("cookie", {"cookie": "session=a; other=b"})
    with pytest.raises(NeedsReconnect, match="remember_token"):
        look(pasted, first(home))


def test_a_newly_pasted_cookie_replaces_what_was_remembered(played: Any) -> None:
    door, server = played((200, EXAMPLE.encode(), {**JSON, "set-cookie": "session=renewed-6714"}), "cookie")
    look(door)
    look(door)
    assert "session=renewed-6714" in server.asked[-1].headers["cookie"]
    again, other = played((200, EXAMPLE.encode(), JSON), "cookie", {"cookie": "remember_token=x; session=y"},
                          memory=door.memory)  # fmt: skip
    look(again)
    assert other.asked[0].headers["cookie"] == "remember_token=x; session=y"


def test_a_public_profile_that_is_closed_needs_the_user_or_is_told_alone(home: Any, door: Any) -> None:
    home.service.private_profiles.add(int(first(home)))
    with pytest.raises(NeedsReconnect, match="not public any more"):
        look(door(credentials={"profile_ids": first(home)}), first(home))
    with pytest.raises(NotEntitled, match="not public any more"):
        look(door(), first(home))


@pytest.mark.parametrize(
    ("text", "cookies"),
    [
        ("a1b2", {"remember_token": "a1b2"}),
        ("a1b2==", {"remember_token": "a1b2=="}),
        ("remember_token=a", {"remember_token": "a"}),
        ("Cookie: session=a; remember_token=b|c=d ;", {"session": "a", "remember_token": "b|c=d"}),
        ("", {}),
        (";;=;", {}),
    ],
)
def test_pasted_cookies_are_read(text: str, cookies: Any) -> None:
    assert pasted_cookies(text) == cookies


def test_cookies_are_kept_changed_and_dropped_as_they_are_set() -> None:
    jar = merged(
        {"a": "1", "b": "2"}, ["b=3; Path=/", "c=4; Max-Age=0", "a=; Path=/", "d=5; Max-Age=60", "junk", "é=1"]
    )
    assert jar == {"b": "3", "d": "5"}


# -- judged by content -----------------------------------------------------------------------------------------------

JUDGED = [
    (200, EXAMPLE.encode(), JSON, "answer"),
    (200, EXAMPLE.encode(), {}, "answer"),
    (200, b"[]", HTML, "session?"),
    (200, SIGN_IN.encode(), HTML, "session"),
    (200, SIGN_IN.encode(), JSON, "session"),
    (404, SIGN_IN.encode(), HTML, "session"),
    (403, SIGN_IN.encode(), HTML, "session"),
    (401, b"", HTML, "session"),
    (302, b"", {"location": "/login?next=%2F1234567.json"}, "session"),
    (303, b"", {"location": "https://pwrcell.generac.com/sign-in"}, "session"),
    (302, b"", {"location": "https://elsewhere.example/login"}, "moved"),
    (302, b"", {"location": "/\\elsewhere.example/login"}, "moved"),
    (302, b"", {}, "moved"),
    (302, b"", {"location": "http://["}, "moved"),
    (302, b"", {"location": "/maintenance"}, "moved"),
    (200, b"<html>New dashboard</html>", HTML, "changed"),
    (200, b"", {}, "changed"),
    (204, b"", JSON, "changed"),
    (403, b"<html>Forbidden</html>", HTML, "blocked"),
    (403, b"{}", JSON, "blocked"),
    (429, b"", HTML, "blocked"),
    (200, b"<html><h1>Access Denied</h1></html>", HTML, "blocked"),
    (200, b"Access denied", {"content-type": "text/plain"}, "blocked"),
    (404, b"<html>gone</html>", HTML, "missing"),
    (410, b"", HTML, "missing"),
    (500, b"<html>oops</html>", HTML, "trouble"),
    (503, b"", {}, "trouble"),
]


@pytest.mark.parametrize(("status", "body", "headers", "verdict"), JUDGED)
def test_an_answer_is_judged_by_what_it_holds(status: int, body: bytes, headers: Any, verdict: str) -> None:
    found = judge(Response(status, headers, body, "/1234567.json"), page=False)
    assert found == ("changed" if verdict == "session?" else verdict)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (200, b"<html>New dashboard</html>", HTML, Changed),
        (302, b"", {"location": "https://elsewhere.example/"}, Changed),
        (404, b"<html>gone</html>", HTML, Changed),
        (200, b'{"devices":[]}', JSON, Changed),
        (200, b'{"dvcs":{}}', JSON, Changed),
        (200, b'{"dvcs":[{"s":1}]}', JSON, Changed),
        (200, b"[" * 100_000, JSON, Changed),
        (200, b'{"dvcs":[', JSON, Unavailable),
        (200, b"", JSON, Unavailable),
        (403, b"<html>no</html>", HTML, Unavailable),
        (500, b"<html>no</html>", HTML, Unavailable),
        (401, b"<html>no</html>", HTML, NeedsReconnect),
    ],
)
def test_every_shape_of_a_refusal_ends_in_its_error(status: int, body: bytes, headers: Any, kind: Any, played: Any) -> None:  # fmt: skip  # noqa: E501
    door, _ = played((status, body, headers))
    with pytest.raises(kind):
        look(door)


def test_questions_look_like_the_pages_own_script(played: Any) -> None:
    door, server = played((200, EXAMPLE.encode(), JSON))
    look(door, zone=None)
    asked = server.asked[0]
    assert (asked.method, asked.path, asked.query) == ("GET", "/1234567.json", [("_", str(NOON * 1000))])
    assert asked.headers["x-requested-with"] == "XMLHttpRequest"
    assert asked.headers["accept"] == "application/json, text/javascript, */*; q=0.01"
    assert asked.headers["user-agent"] == "Sungaze"
    assert "cookie" not in asked.headers


# -- blocked ---------------------------------------------------------------------------------------------------------


def test_a_block_is_left_alone_for_six_hours_then_a_day(home: Any, door: Any, clock: Hands) -> None:
    home.faults["denied"] = 1.0
    home.service.block_hours = 100
    public = door()

    def refused() -> float:
        with pytest.raises(Unavailable, match="blocked") as caught:
            look(public, first(home))
        return caught.value.retry_after_s

    assert refused() == 6 * 3600
    clock.now += 3600
    assert refused() == 5 * 3600
    with pytest.raises(Unavailable):
        CONNECTOR.probe(public.access)
    assert len(home.requests) == 1, "nothing is asked meanwhile"
    clock.now += 5 * 3600
    assert refused() == DAY_S
    clock.now += DAY_S
    assert refused() == DAY_S
    assert len(home.requests) == 3
    clock.now += 4 * DAY_S
    home.faults.clear()
    assert look(public, first(home), None).devices
    home.faults["denied"] = 1.0
    clock.now += DAY_S
    assert refused() == 6 * 3600


def test_a_block_while_signing_in_is_remembered_too(home: Any, door: Any) -> None:
    home.faults["denied"] = 1.0
    owner = door("login")
    for _ in range(2):
        with pytest.raises(Unavailable, match="blocked"):
            CONNECTOR.list_sites(owner.access)
    assert len(home.requests) == 1


# -- state -----------------------------------------------------------------------------------------------------------


def test_the_example_of_the_page_is_read(played: Any) -> None:
    door, _ = played((200, EXAMPLE.encode(), JSON))
    answer = look(door, zone=None)
    up = instant("2026-06-01T17:30:05+00:00")
    assert by_key(answer.readings) == {
        ("0001000712AB", "energy_lifetime_wh", 0, up + 7): 21456789.0,
        ("0001000301A1", "dc_power_w", 0, up): 2150.0,
        ("0001000301A1", "dc_energy_lifetime_wh", 0, up): 11034567.0,
        ("0001000801B2", "battery_power_w", 0, up + 3): -600.0,
        ("0001000801B2", "state_of_charge_pct", 0, up + 3): 84.5,
        ("", "dc_power_w", 0, up): 2150.0,
    }
    kinds = [(d.vendor_device_id, d.device_type, d.status) for d in answer.devices]
    assert kinds == [
        ("0001000712AB", DeviceType.INVERTER, DeviceStatus.NORMAL),
        ("0001000301A1", DeviceType.STRING_CONVERTER, DeviceStatus.NORMAL),
        ("0001000801B2", DeviceType.BATTERY, DeviceStatus.NORMAL),
    ]
    link = answer.devices[1]
    assert (link.parent, link.manufacturer, link.model, link.name) == (
        "0001000712AB",
        "Generac",
        "PV Module",
        "PV Link 1",
    )
    assert (link.serial_number, link.installed_on, link.last_reported_at) == ("0001000301A1", "2024-06-01", up)
    site = answer.sites[0]
    assert (site.vendor_site_id, site.status, site.communication) == ("1234567", SiteStatus.NORMAL, Communication.OK)
    assert site.last_report_at == up + 7
    assert (answer.alerts, answer.alerts_complete, answer.devices_complete) == ([], True, True)
    assert answer.covered is None


@pytest.mark.parametrize("key", ["s", "n", "t", "st", "p", "et", "up", "ti", "O5"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_key_that_is_null_or_missing_is_not_known_and_never_zero(key: str, value: Any, played: Any) -> None:
    links = (device(**{key: value}), device(s="0001000302A2", p=100))
    door, _ = played((200, listed(*links), JSON))
    answer = look(door, zone=None)
    assert all(reading.value for reading in answer.readings)
    assert all(isinstance(reading.timestamp, int) for reading in answer.readings)
    sums = [r.value for r in answer.readings if not r.vendor_device_id]
    assert sums == ({"p": [], "up": [], "s": [100.0]}.get(key, [2250.0]))
    assert answer.alerts_complete == (key not in {"s", "st"})
    assert answer.devices[0].vendor_device_id


@pytest.mark.parametrize("key", ["s", "p", "up"])
def test_a_key_that_no_device_has_any_more_is_a_changed_page(key: str, played: Any) -> None:
    bare = [{name: value for name, value in device(s=rcpn).items() if name != key} for rcpn in ("A" * 12, "B" * 12)]
    door, _ = played((200, listed(*bare), JSON))
    with pytest.raises(Changed) as caught:
        look(door)
    assert caught.value.where == f"dvcs.{key}"


def test_a_counter_that_turns_0_on_every_device_has_vanished(played: Any) -> None:
    door, _ = played((200, listed(device(et=0), device(s="0001000302A2", et=0)), JSON))
    assert {r.metric_name for r in look(door, zone=None).readings} == {"dc_power_w"}


def test_links_that_were_heard_of_hours_apart_are_not_summed(played: Any) -> None:
    old = device(s="0001000302A2", p=900, up="2026-06-01 15:00:00 UTC")
    door, _ = played((200, listed(device(), old), JSON))
    answer = look(door, zone=None)
    assert {r.vendor_device_id for r in answer.readings if r.metric_name == "dc_power_w"} == {"0001000301A1", "0001000302A2"}  # fmt: skip  # noqa: E501
    offline = listed(device(), old | {"st": 0x8000})
    door, _ = played((200, offline, JSON))
    assert [r.value for r in look(door, zone=None).readings if not r.vendor_device_id] == [2150.0]


def test_a_stamp_ahead_of_the_clock_is_not_taken(played: Any) -> None:
    door, _ = played((200, listed(device(up="2026-06-02 00:00:00 UTC")), JSON))
    answer = look(door)
    assert answer.readings == []
    assert answer.sites[0].last_report_at is None


@pytest.mark.parametrize(
    ("code", "status"),
    [(code, status) for code, (_, status) in STATES.items()]
    + [(2128, DeviceStatus.UNKNOWN), (0x7123, DeviceStatus.FAULT), (0x8010, DeviceStatus.OFFLINE),
       (0x9000, DeviceStatus.UNKNOWN), (-1, DeviceStatus.UNKNOWN)],
)  # fmt: skip
def test_every_state_has_its_status(code: int, status: DeviceStatus, played: Any) -> None:
    assert state_of(code)[1] is status
    door, _ = played((200, listed(device(st=code)), JSON))
    answer = look(door, zone=None)
    assert answer.devices[0].status is status
    severity = {DeviceStatus.WARNING: Severity.WARNING, DeviceStatus.FAULT: Severity.ERROR}.get(status)
    assert [(a.code, a.severity) for a in answer.alerts] == ([(f"st-0x{code:04X}", severity)] if severity else [])
    words = {DeviceStatus.FAULT: "fault", DeviceStatus.WARNING: "warning", DeviceStatus.OFFLINE: "offline",
             DeviceStatus.NORMAL: "normal", DeviceStatus.UNKNOWN: "unknown"}  # fmt: skip
    assert answer.sites[0].status == words[status]


def test_the_table_of_states_is_the_pages() -> None:
    assert len(STATES) == 33
    assert [state_of(code)[0] for code in (2080, 8208, 28928)] == ["grid connected", "making power", "overheating"]
    assert state_of(2128)[0] == "state 0x0850 (2128), which is not known"


def test_an_overheating_link_is_an_alarm_with_its_code_and_the_same_name_at_each_look(home: Any, door: Any, clock: Hands) -> None:  # fmt: skip  # noqa: E501
    home.faults["overheat"] = 1.0
    public = door()
    alerts = look(public, first(home), None).alerts
    assert [(a.code, a.severity, a.description) for a in alerts] == [
        ("st-0x7100", Severity.ERROR, "PV Link 1: overheating")
    ]
    clock.now += 1800
    assert look(public, first(home), None).alerts[0].vendor_alert_id == alerts[0].vendor_alert_id
    home.faults.clear()
    after = look(public, first(home), None)
    assert (after.alerts, after.alerts_complete) == ([], True)


def test_a_battery_in_trouble_is_a_warning_of_its_site(played: Any) -> None:
    battery = device(s="0001000801B2", st=0x6300, O5="900")
    door, _ = played((200, listed(device(), battery), JSON))
    assert look(door, zone=None).sites[0].status is SiteStatus.WARNING


def test_a_site_whose_devices_are_all_offline_is_silent(played: Any) -> None:
    door, _ = played((200, listed(device(st=0x8000), device(s="0001000712AB", st=0x8000)), JSON))
    site = look(door, zone=None).sites[0]
    assert (site.status, site.communication) == (SiteStatus.OFFLINE, Communication.SILENT)


def test_a_device_left_out_once_ends_no_alarm_and_is_gone_after_three_looks(home: Any, door: Any, clock: Hands) -> None:
    public = door()
    whole = look(public, first(home), None)
    home.faults["device_gone"] = 1.0
    for expected in (False, False, True):
        clock.now += 1800
        answer = look(public, first(home), None)
        assert len(answer.devices) == len(whole.devices) - 1
        assert (answer.devices_complete, answer.alerts_complete) == (expected, expected)
    home.faults.clear()
    clock.now += 1800
    assert look(public, first(home), None).devices_complete


def test_an_empty_list_of_devices_retires_nothing(played: Any) -> None:
    door, _ = played((200, listed(), JSON))
    for _ in range(4):
        answer = look(door)
        assert (answer.devices_complete, answer.alerts_complete, answer.sites[0].status) == (False, False, None)


@pytest.mark.parametrize(
    ("value", "percent"),
    [("845", 84.5), (845, 84.5), ("0", 0.0), ("1000", 100.0), (None, None), ("", None), (2000, None), (-1, None)],
)  # fmt: skip
def test_the_charge_is_in_tenths_of_a_percent_as_text_or_number(value: Any, percent: Any) -> None:
    assert read_charge(value) == percent


def test_a_charge_that_is_no_number_is_a_changed_page() -> None:
    with pytest.raises(Changed):
        read_charge("--")


@pytest.mark.parametrize(
    ("text", "zone", "true"),
    [
        ("2026-10-05 18:30:12 UTC", None, "2026-10-05T18:30:12+00:00"),
        ("2026-10-05 18:30:12 GMT", CHICAGO, "2026-10-05T18:30:12+00:00"),
        ("2026-10-05 18:30:12 CDT", CHICAGO, "2026-10-05T18:30:12-05:00"),
        ("2026-10-05 18:30:12", CHICAGO, "2026-10-05T18:30:12-05:00"),
        ("2026-10-05 18:30:12 EST", None, None),
        ("2026-10-05 18:30:12 +0530", None, "2026-10-05T18:30:12+05:30"),
        ("2026-11-01 01:30:00 CDT", CHICAGO, "2026-11-01T06:30:00+00:00"),
        ("2026-11-01 01:30:00 CST", CHICAGO, "2026-11-01T07:30:00+00:00"),
        ("1970-01-01 00:00:00 UTC", None, None),
    ],
)
def test_a_stamp_is_read_with_the_zone_that_it_prints(text: str, zone: Any, true: Any) -> None:
    assert read_stamp(text, zones.zone(zone)) == (instant(true) if true else None)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01 00:00:00 UTC", "2026-10-05 25:00:00 UTC", "--", "0000-00-00 00:00:00 UTC"])  # fmt: skip  # noqa: E501
def test_a_stamp_of_another_form_is_a_changed_page(text: str) -> None:
    with pytest.raises(Changed):
        read_stamp(text, None)


@pytest.mark.parametrize("zone", ["America/Chicago", None])
def test_an_abbreviation_is_read_in_the_sites_own_zone(zone: Any, home: Any, door: Any) -> None:
    home.faults["local_up"] = 1.0
    answer = look(door(), first(home), zone)
    assert answer.sites[0].last_report_at == (NOON - 3600 if zone else None)
    assert bool(answer.readings) == bool(zone)


def test_the_same_moment_looked_at_again_gives_the_same_readings(home: Any, door: Any, clock: Hands) -> None:
    home.faults["frozen"] = 1.0
    public = door()
    before = look(public, first(home), None).readings
    clock.now += 1800
    assert look(public, first(home), None).readings == before


# -- the epoch base --------------------------------------------------------------------------------------------------


def evidence(zone: str, start: str, gaps_min: Any, every_s: int = 1800) -> Any:
    begin = instant(start)
    return [Evidence(begin + n * every_s + int(60 * gap), begin + n * every_s, begin + n * every_s + 3600)
            for n, gap in enumerate(gaps_min)], zones.zone(zone)  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "gaps_min", "verdict"),
    [
        (CHICAGO, (-300, -299), "local"),
        (CHICAGO, (-300, -299, -302), "local"),
        (CHICAGO, (0, -1), "utc"),
        (CHICAGO, (-60, -5, -80), "utc"),
        (CHICAGO, (-300,), None),
        (CHICAGO, (-300, 0), None),
        (CHICAGO, (-300, -200), None),
        (CHICAGO, (60, 61), None),
        (BERLIN, (120, 119), "local"),
        (BERLIN, (0, -1), "utc"),
        ("Asia/Kolkata", (330, 330), "local"),
        ("Australia/Adelaide", (570, 570), "local"),
        ("Atlantic/Azores", (0, 0), None),
        ("Atlantic/Cape_Verde", (-60, -60), None),
        ("Atlantic/Cape_Verde", (-2, -3), "utc"),
        ("Africa/Abidjan", (0,), "utc"),
        (CHICAGO, (), None),
    ],
)
def test_the_epoch_base_is_found_by_evidence_or_stays_open(zone: str, gaps_min: Any, verdict: Any) -> None:
    assert epoch_base(*evidence(zone, "2026-07-01T17:00:00+00:00", gaps_min)) == verdict


def test_comparisons_of_the_same_half_hour_are_one() -> None:
    assert epoch_base(*evidence(CHICAGO, "2026-07-01T17:00:00+00:00", (-300, -300), 300)) is None


def test_an_offset_of_nothing_tells_nothing() -> None:
    assert epoch_base(*evidence("Europe/London", "2026-01-15T12:00:00+00:00", (0, 0, 0))) is None
    assert epoch_base(*evidence("Europe/London", "2026-07-15T12:00:00+00:00", (60, 60, 60))) == "local"


@pytest.mark.parametrize(("fault", "verdict"), [({}, "local"), ({"utc_base": 1.0}, "utc")])
def test_two_looks_of_a_sunny_day_decide_and_no_more_is_asked(
    fault: Any, verdict: str, home: Any, door: Any, clock: Hands
) -> None:
    home.faults.update(fault)
    public = door()
    for _ in range(4):
        look(public, first(home))
        clock.now += 1800
    assert json.loads(public.memory[f"site:{first(home)}"])["base"] == verdict
    assert [r.path.split("/")[1] for r in home.requests].count("power") == 2


@pytest.mark.parametrize(("zone", "now"), [(None, NOON), (CHICAGO, NOON + 11 * 3600)])
def test_without_a_zone_or_the_sun_nothing_is_compared(zone: Any, now: int, home: Any, door: Any, clock: Hands) -> None:
    clock.now = now
    public = door()
    look(public, first(home), zone)
    assert len(home.requests) == 1


def test_while_it_is_open_no_series_is_asked_and_none_covered(home: Any, door: Any) -> None:
    public = door()
    look(public, first(home))
    home.requests.clear()
    for what in ("power", "energy"):
        answer = CONNECTOR.fetch(public.access, what, site_ref(first(home)), Span(NOON - 7 * DAY_S, NOON))
        assert (answer.readings, answer.covered) == ([], None)
    assert not home.requests


def test_a_comparison_that_fails_does_not_cost_the_look(played: Any) -> None:
    door, server = played(lambda asked: (200, EXAMPLE.encode(), JSON) if asked.path == "/1234567.json" else (500, b""))
    assert look(door).readings
    assert server.paths() == ["/1234567.json", "/power/0001000301A1/now/28800.json"]


def test_the_users_word_on_the_base_decides_at_once(home: Any, door: Any) -> None:
    public = door(credentials={"profile_ids": first(home), "epoch_base": "Local"})
    look(public, first(home))
    assert len(home.requests) == 1
    answer = CONNECTOR.fetch(public.access, "power", site_ref(first(home)), Span(NOON - DAY_S, NOON))
    assert answer.readings


@pytest.mark.parametrize(("base", "zone", "what", "given"), [
    ("local", None, "power", False), ("local", None, "energy", False), ("utc", None, "energy", False),
    ("utc", None, "power", True), ("local", CHICAGO, "energy", True),
])  # fmt: skip
def test_without_a_zone_there_are_no_days_and_no_local_hours(
    base: str, zone: Any, what: str, given: bool, home: Any, door: Any
) -> None:
    public = door(credentials={"profile_ids": first(home), "epoch_base": base})
    look(public, first(home), zone)
    answer = CONNECTOR.fetch(public.access, what, site_ref(first(home), zone), Span(NOON - DAY_S, NOON))
    assert bool(answer.readings) == given
    assert (answer.covered is not None) == given


def test_a_verdict_that_lets_the_sun_shine_by_night_is_dropped(home: Any, door: Any) -> None:
    public = door(memory={f"site:{first(home)}": json.dumps({"base": "local"})})
    look(public, first(home))
    home.faults["utc_base"] = 1.0
    answer = CONNECTOR.fetch(public.access, "power", site_ref(first(home)), Span(NOON - DAY_S, NOON))
    assert (answer.readings, answer.covered) == ([], None)
    assert "base" not in json.loads(public.memory[f"site:{first(home)}"])


def test_daylight_of_a_zones_city_is_no_night() -> None:
    assert not shines_by_night([], CHICAGO)
    assert not shines_by_night([], None)


# -- series ----------------------------------------------------------------------------------------------------------


def test_the_example_of_power_is_read_and_null_is_no_value(played: Any) -> None:
    rows = b"[[1759669200,1840,true],[1759672800,2215,true],[1759676400,null,false]]"
    memory = {"site:1234567": json.dumps({"ids": ["0001000301A1", "0001000712AB"], "base": "utc"})}
    door, server = played((200, rows, JSON), memory=memory)
    span = Span(NOON - 3600, NOON)
    answer = CONNECTOR.fetch(door.access, "power", site_ref(1234567), span)
    assert by_key(answer.readings) == {
        ("0001000301A1", "dc_power_w", 3600, 1759669200): 1840.0,
        ("0001000301A1", "dc_power_w", 3600, 1759672800): 2215.0,
        ("", "dc_power_w", 3600, 1759669200): 1840.0,
        ("", "dc_power_w", 3600, 1759672800): 2215.0,
    }
    assert server.paths() == ["/power/0001000301A1/now/172800.json"]
    assert answer.covered == Span(NOON - 172_800, NOON)


def test_the_example_of_energy_is_a_difference_of_counters(played: Any) -> None:
    rows = b"[[1759536000,11002345,true],[1759622400,11034567,true]]"
    memory = {"site:1234567": json.dumps({"ids": ["0001000301A1"], "base": "local"})}
    door, server = played((200, rows, JSON), memory=memory)
    answer = CONNECTOR.fetch(door.access, "energy", site_ref(1234567), Span(NOON - DAY_S, NOON))
    assert by_key(answer.readings) == {("", "dc_energy_wh", DAY_S, instant("2025-10-05T00:00:00-05:00")): 32_222.0}
    assert server.paths() == ["/energy/0001000301A1/now/all.json"]


def test_all_is_asked_for_once_in_seven_days(home: Any, door: Any, clock: Hands) -> None:
    public = door(credentials={"profile_ids": first(home), "epoch_base": "local"})
    look(public, first(home))

    def lengths(what: str, days: int) -> set[str]:
        home.requests.clear()
        span = Span(int(clock.now) - days * DAY_S, int(clock.now))
        assert CONNECTOR.fetch(public.access, what, site_ref(first(home)), span).readings
        return {r.path.rsplit("/", 1)[-1] for r in home.requests}

    assert lengths("energy", 7) == {"all.json"}
    assert lengths("energy", 7) == {f"{9 * DAY_S}.json"}
    assert lengths("energy", 100) == {f"{102 * DAY_S}.json"}
    clock.now += 7 * DAY_S
    assert lengths("energy", 7) == {f"{9 * DAY_S}.json"}
    assert lengths("energy", 100) == {"all.json"}
    assert lengths("power", 1) == {"172800.json"}
    assert lengths("power", 20) == {f"{20 * DAY_S}.json"}


def test_series_wait_for_the_devices_to_be_known(played: Any) -> None:
    door, server = played((200, b"[]", JSON), credentials=PUBLIC | {"epoch_base": "utc"})
    with pytest.raises(Unavailable, match="not known yet"):
        CONNECTOR.fetch(door.access, "power", site_ref(1234567), NOW_SPAN)
    assert not server.asked


def test_devices_that_the_store_knows_serve_where_nothing_is_remembered(played: Any) -> None:
    door, server = played((200, b"[]", JSON), credentials=PUBLIC | {"epoch_base": "utc"})
    ref = msgspec.structs.replace(site_ref(1234567), device_ids=frozenset({"0001000301A1", "0001000712AB"}))
    CONNECTOR.fetch(door.access, "power", ref, NOW_SPAN)
    assert server.paths() == ["/power/0001000301A1/now/172800.json"]


def test_the_site_has_an_hour_only_where_every_link_has_it() -> None:
    series = {"a": [_Row(1759669200, 100), _Row(1759672800, None)], "b": [_Row(1759669200, 50), _Row(1759672800, 60)]}
    found = by_key(list(read_hours(series, "utc", None)))
    assert {key[3]: v for key, v in found.items() if not key[0]} == {1759669200: 150.0}


def stamps(*texts: str) -> list[int]:
    return [instant(f"{text}+00:00") for text in texts]


def test_an_hour_that_comes_twice_is_told_by_its_order() -> None:
    tz = zones.zone(CHICAGO)
    wall = stamps("2026-11-01T00:00", "2026-11-01T01:00", "2026-11-01T01:00", "2026-11-01T02:00")
    assert read_instants(wall, "local", tz) == stamps(
        "2026-11-01T05:00", "2026-11-01T06:00", "2026-11-01T07:00", "2026-11-01T08:00"
    )
    minutes = stamps("2026-11-01T00:59", "2026-11-01T01:58", "2026-11-01T01:59", "2026-11-01T01:00", "2026-11-01T01:59")
    assert read_instants(minutes, "local", tz)[-2:] == stamps("2026-11-01T07:00", "2026-11-01T07:59")


def test_a_series_that_begins_in_that_hour_does_not_say_which() -> None:
    wall = stamps("2026-11-01T01:00", "2026-11-01T02:00")
    assert read_instants(wall, "local", zones.zone(CHICAGO)) == [None, instant("2026-11-01T08:00+00:00")]


def test_what_falls_into_a_skipped_hour_is_shifted_past_it() -> None:
    wall = stamps("2026-03-08T01:00", "2026-03-08T02:00", "2026-03-08T04:00")
    assert read_instants(wall, "local", zones.zone(CHICAGO)) == stamps(
        "2026-03-08T07:00", "2026-03-08T08:00", "2026-03-08T09:00"
    )


@pytest.mark.parametrize("at", [0, -1, 10**12, 10**30])
def test_an_epoch_that_is_no_time_of_ours_is_a_changed_page(at: int) -> None:
    with pytest.raises(Changed):
        read_instants([at], "utc", None)


def days(*values: Any) -> dict[int, float]:
    begin = instant("2026-06-01T00:00+00:00")
    rows = [_Row(begin + n * DAY_S, value) for n, value in enumerate(values)]
    tz = zones.zone(CHICAGO)
    assert tz is not None
    return {(day - dt.date(2026, 6, 1)).days: wh for day, wh in day_energies(rows, "local", tz).items()}


def test_days_are_differences_and_what_is_not_known_is_missing() -> None:
    assert days(100, 110, 125) == {1: 10.0, 2: 15.0}
    assert days(100, None, 125, 130) == {3: 5.0}
    assert days(100) == days() == {}


def test_a_counter_that_is_reset_loses_that_day_only() -> None:
    assert days(100, 110, 3, 8) == {1: 10.0, 3: 5.0}


def test_a_counter_that_falls_and_comes_back_loses_both_days() -> None:
    assert days(100, 110, 20, 135, 140) == {1: 10.0, 4: 5.0}


def test_a_reset_of_the_emulators_counter_loses_the_day_for_the_site(home: Any, door: Any, world: World) -> None:
    home.faults["reset"] = 1.0
    public = door(credentials={"profile_ids": first(home), "epoch_base": "local"})
    look(public, first(home))
    answer = CONNECTOR.fetch(public.access, "energy", site_ref(first(home)), Span(NOON - 7 * DAY_S, NOON))
    found = {r.timestamp for r in answer.readings}
    plan = world.site("generac", 0)
    today = plan.midnight(plan.local_date(NOON))
    assert today in found
    assert today - DAY_S not in found
    assert today - 2 * DAY_S in found


# -- pages, faults ---------------------------------------------------------------------------------------------------


def test_profile_ids_are_found_in_pages_and_scripts() -> None:
    assert read_profile_ids(DASHBOARD) == ["1234567"]
    assert read_profile_ids('<a href="/users/12345678"> "/87654321.json" /users/1234 /1234567890123.json') == [
        "12345678", "87654321",
    ]  # fmt: skip
    assert read_title(DASHBOARD) == "Example House"
    assert read_title("<html>") is None
    assert read_title("<title> The - old - barn | PWRview </title>") == "The - old - barn"


EVERY_FAULT = [
    "html", "truncated", "huge", "shape", "500", "429", "late", "private", "expired_302", "expired_page", "expired_401",
    "wrong_password", "form_names", "changed_key", "denied", "lag", "frozen", "reset", "unknown_state", "overheat",
    "utc_base", "local_up", "device_gone", "device_new", "nulls", "offsite", "gzip",
]  # fmt: skip


@pytest.mark.parametrize("method", ["public_profile", "login"])
@pytest.mark.parametrize("fault", EVERY_FAULT)
def test_every_switch_ends_in_values_or_in_one_error_and_tells_no_secret(
    fault: str, method: str, home: Any, door: Any, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG, logger="sungaze")
    if method == "login":
        home.service.private_profiles.update(int(n) for n in home.credentials["profile_ids"].split(","))
    owner = door(method)
    home.faults[fault] = 1.0
    leaks: list[str] = []
    for _ in range(2):
        try:
            CONNECTOR.list_sites(owner.access)
            answer = look(owner, first(home))
        except VendorError as error:
            secrets = [home.service.sign_in["password"], *json.loads(owner.memory.get("cookies") or "{}").values()]
            leaks += [secret for secret in secrets if secret in told(error) + caplog.text]
        else:
            assert all(r.value or r.metric_name != "dc_power_w" for r in answer.readings), "noon has no zero"
    assert not leaks
    home.faults.clear()


@pytest.mark.parametrize("seed", range(6))
def test_mixed_switches_end_in_values_or_in_one_error(seed: int, start: Any, opened: Any, clock: Hands) -> None:
    home = start("generac", world=World(seed=seed, sites=1, panels=3))
    home.service.block_hours = 0.5
    mixed = [name for name in EVERY_FAULT if name != "huge"]
    home.faults.update({name: 0.15 for n, name in enumerate(mixed) if (n + seed) % 3})
    number = home.credentials["profile_ids"]
    credentials = home.service.sign_in if seed % 2 else home.credentials
    owner: Door = opened(Door("generac", home.base_url, credentials, clock))
    owner.access.method = "login" if seed % 2 else "public_profile"
    answered = failed = 0
    for step in range(40):
        clock.now += 1800 if step % 10 else 9 * 3600
        for resource in ("state", "power", "energy"):
            span = Span(int(clock.now) - 2 * DAY_S, int(clock.now))
            try:
                answer = CONNECTOR.fetch(owner.access, resource, site_ref(number), span)
            except VendorError:
                failed += 1
            else:
                answered += 1
                assert all(reading.value >= 0 for reading in answer.readings if reading.metric_name.startswith("dc_"))
    assert failed
    assert answered


def test_a_quota_that_is_spent_is_told_before_anything_is_sent(home: Any, door: Any) -> None:
    with pytest.raises(QuotaSpent):
        look(door(calls=0), first(home))
    assert not home.requests


def test_the_door_of_the_emulators_own_credentials_works(home: Any, opened: Any, clock: Hands) -> None:
    made = opened(door_to(home, clock))
    assert look(made, first(home), None).devices
