"""Whatever Generac's devices, rows, pages and cookies hold, they end in values, in nothing, or in one VendorError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutating import FUZZ, MARKS, anything, check, check_error, letters, no_lease, numbers
from vendor_doors import NOON, site_ref

from sungaze.errors import VendorError
from sungaze.model import Span
from sungaze.vendors._contract import Access, Response
from sungaze.vendors.generac import CONNECTOR, VENDOR, merged, pasted_cookies, read_form, read_profile_ids, read_title

pytestmark = MARKS
IDS = ["000100030001", "000100030002"]

devices = st.fixed_dictionaries(
    {},
    optional={
        "s": st.sampled_from([*IDS, "000100020000", "000100080003", ""]) | anything,
        "st": st.integers(-5, 0x9000) | anything,
        **dict.fromkeys(("n", "t", "p", "et", "up", "ti", "O5"), anything),
    },
)
rows = st.tuples(
    st.integers(NOON - 400 * 86_400, NOON + 400 * 86_400) | numbers, numbers | st.none(), st.booleans() | anything
)


class Canned:
    """A session that gives the same answer to every question."""

    def __init__(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._answer = Response(200, {"content-type": "application/json"}, body, "/1234567.json")

    def request(self, method: str, path: str, **options: Any) -> Response:
        return self._answer


def read(resource: str, value: Any, base: str, zone: str | None) -> None:
    memory = {"site:1234567": json.dumps({"ids": IDS})}
    access = Access(
        method="public_profile", plan=VENDOR.plans[0], credentials={"profile_ids": "1234567", "epoch_base": base},
        session=Canned(value), recall=lambda: dict(memory), remember=memory.update, login_lease=no_lease,
        now=lambda: float(NOON),
    )  # fmt: skip
    try:
        check(CONNECTOR.fetch(access, resource, site_ref(1234567, zone), Span(NOON - 7 * 86_400, NOON)))
    except VendorError as error:
        check_error(error)


@FUZZ
@given(
    listed=st.lists(devices, max_size=4),
    zone=st.sampled_from(["America/Chicago", "Asia/Kolkata", None]),
    base=st.sampled_from(["local", "auto"]),
)
def test_any_devices_end_in_values_or_in_one_error(listed: Any, zone: str | None, base: str) -> None:
    read("state", {"dvcs": listed}, base, zone)


@pytest.mark.parametrize("resource", ["power", "energy"])
@FUZZ
@given(
    series=st.lists(rows, max_size=6),
    base=st.sampled_from(["local", "utc"]),
    zone=st.sampled_from(["America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_any_rows_end_in_values_or_in_one_error(resource: str, series: Any, base: str, zone: str) -> None:
    read(resource, series, base, zone)


@FUZZ
@given(
    html=letters
    | st.lists(
        st.sampled_from(["<form>", "</form>", "<input type=password name=p>", "<input name=e>", "<form action='//x'>",
                         "<form method=get>", "<title>", "A - B", "</title>", "/users/1234567", "/7654321.json", "\x00",
                         "<input type=hidden name=t value='\ud800'>", "<![CDATA[", "<!--", "&#0;", "'", '"', "<"]),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_any_page_is_read_to_a_form_a_title_and_ids_or_none(html: str) -> None:
    form = read_form(html, "/login")
    assert form is None or (form.method == "POST" and form.action.startswith("/") and not form.action.startswith("//"))
    title = read_title(html)
    assert title is None or 0 < len(title) <= 120
    assert all(5 <= len(number) <= 12 for number in read_profile_ids(html))


@FUZZ
@given(
    text=letters,
    lines=st.lists(letters | st.sampled_from(["session=a; Path=/", "remember_token=b", "session=; x"]), max_size=3),
)
def test_any_cookie_is_read(text: str, lines: list[str]) -> None:
    assert all(isinstance(name, str) and name for name in pasted_cookies(text))
    assert all(name.isascii() for name in merged({}, lines))
