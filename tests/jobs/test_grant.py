"""An owner's consent through the browser, against the vendors' own pages: back by itself, pasted, refused, forged."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from spine import Hands, Spine

from sungaze.emulators import Emulator, World, serve
from sungaze.errors import NeedsReconnect, NotFound, UserError
from sungaze.jobs import connect as connecting
from sungaze.jobs.connect import BadRequest
from sungaze.jobs.grant import DONE, Grants, Pending

METHODS = {"enphase": "owner_consent", "solaredge": "site_access"}
PLANS = {"enphase": "watt", "solaredge": "free"}


class Owner:
    """A vendor's emulator, a store, and a browser in the owner's hands."""

    def __init__(self, folder: Path, clock: Hands, vendor: str) -> None:
        self.vendor = vendor
        self.clock = clock
        self.emulator: Emulator = serve(vendor, World(1, 6, 6), plan=PLANS[vendor], now=clock)
        self.spine = Spine(folder, clock, {vendor: self.emulator})
        self.grants = Grants(0, clock)

    @property
    def application(self) -> dict[str, str]:
        if self.vendor == "enphase":
            names = ("api_key", "client_id", "client_secret")
            return {name: self.emulator.credentials[name] for name in names}
        application: dict[str, str] = self.emulator.service.application
        return application

    def ask(self, *, come_back: bool = True) -> Pending:
        method = METHODS[self.vendor]
        url_of = connecting.consent_url(self.spine.context, self.vendor, method, self.application, None)
        return self.grants.begin(self.vendor, method, url_of, come_back=come_back)

    def decide(self, pending: Pending, choice: int | str) -> httpx.Response:
        """Open the page, choose, and follow the way back as a browser does."""
        with httpx.Client(base_url=self.emulator.base_url, follow_redirects=True, trust_env=False) as browser:
            page = browser.get(pending.url)
            links = re.findall(r'href="([^"]+)"', page.text)
            wanted = f"decide={choice}"
            link = next(link for link in links if link.replace("&amp;", "&").endswith(wanted))
            return browser.get(link.replace("&amp;", "&"))

    def wish(self, fields: dict[str, str]) -> connecting.Wish:
        return connecting.Wish(
            vendor=self.vendor, method=METHODS[self.vendor], plan=PLANS[self.vendor],
            credentials=self.application | fields,
        )  # fmt: skip

    def brought(self, pending: Pending) -> dict[str, str]:
        fields = self.grants.credentials(pending.id, self.vendor, METHODS[self.vendor])
        known = {field.name for field in connecting.connector(self.vendor).vendor.methods[1].fields}
        return {name: value for name, value in fields.items() if name in known}

    def stop(self) -> None:
        self.grants.stop()
        self.spine.close()
        self.emulator.stop()


@pytest.fixture
def owner(tmp_path: Path, clock: Hands) -> Iterator[Callable[[str], Owner]]:
    made: list[Owner] = []

    def begin(vendor: str) -> Owner:
        folder = tmp_path / vendor
        folder.mkdir(exist_ok=True)
        made.append(Owner(folder, clock, vendor))
        return made[-1]

    yield begin
    for one in made:
        one.stop()


@pytest.mark.parametrize("vendor", METHODS)
def test_a_consent_comes_back_by_itself_and_sees_its_owner_s_site_only(
    owner: Callable[[str], Owner], vendor: str
) -> None:
    one = owner(vendor)
    pending = one.ask()
    shown = one.decide(pending, 2)
    assert DONE in shown.text
    assert one.grants.pending(pending.id).state == "received"
    wish = one.wish(one.brought(pending))
    found = connecting.probe(one.spine.context, wish)
    assert found.probe.total == 1
    account_id = connecting.connect(one.spine.context, wish)
    kept = one.spine.context.vault.credentials(account_id, vendor)
    assert "code" not in kept
    assert "redirect_uri" not in kept
    one.spine.work_off()
    (site,) = one.spine.store.fleet.sites()
    assert site.name == one.emulator.service.world.site(vendor, 2).name
    assert len(one.spine.samples()) > 100


@pytest.mark.parametrize("vendor", METHODS)
def test_a_pasted_code_works_as_well(owner: Callable[[str], Owner], vendor: str) -> None:
    one = owner(vendor)
    pending = one.ask(come_back=False)
    shown = one.decide(pending, 1)
    fields = dict(re.findall(r'<b id="(code|site_id)">(\w+)</b>', shown.text))
    account_id = connecting.connect(one.spine.context, one.wish(fields))
    assert one.spine.store.fleet.account(account_id).method == METHODS[vendor]


@pytest.mark.parametrize("vendor", METHODS)
def test_a_refusal_and_a_used_code_are_told_and_nothing_is_stored(owner: Callable[[str], Owner], vendor: str) -> None:
    one = owner(vendor)
    pending = one.ask()
    assert "did not agree" in one.decide(pending, "no").text
    with pytest.raises(UserError, match="did not agree"):
        one.grants.credentials(pending.id, vendor, METHODS[vendor])
    again = one.ask()
    one.decide(again, 0)
    fields = one.brought(again)
    connecting.connect(one.spine.context, one.wish(fields))
    with pytest.raises(NeedsReconnect, match="works once"):
        connecting.connect(one.spine.context, one.wish(fields))
    assert len(one.spine.store.fleet.accounts()) == 1


@pytest.mark.parametrize("vendor", METHODS)
def test_two_owners_are_two_accounts_of_one_quota_and_a_second_consent_renews_the_first(
    owner: Callable[[str], Owner], vendor: str
) -> None:
    one = owner(vendor)
    ids = []
    for choice in (0, 1, 0):
        pending = one.ask()
        one.decide(pending, choice)
        ids.append(connecting.connect(one.spine.context, one.wish(one.brought(pending))))
        one.spine.one_by_one(1)
    assert ids[0] == ids[2] != ids[1]
    assert len({account.scope for account in one.spine.store.fleet.accounts()}) == 1


@pytest.mark.parametrize("vendor", METHODS)
def test_tokens_rotate_and_a_grant_that_ended_needs_the_owner_once_more(
    owner: Callable[[str], Owner], vendor: str, clock: Hands
) -> None:
    one = owner(vendor)
    pending = one.ask()
    one.decide(pending, 0)
    account_id = connecting.connect(one.spine.context, one.wish(one.brought(pending)))
    before = one.spine.context.vault.recall(account_id)["refresh_token"]
    clock.now += 2 * 86_400
    one.spine.one_by_one(1)
    assert one.spine.store.fleet.account(account_id).state == "connected"
    assert one.spine.context.vault.recall(account_id)["refresh_token"] != before
    clock.now += 40 * 86_400
    one.spine.one_by_one(1)
    account = one.spine.store.fleet.account(account_id)
    assert account.state == "needs_reconnect"
    assert "consent has ended" in account.state_reason
    assert one.spine.store.alerts.alerts()[1] == 1


def test_what_is_not_waited_for_is_refused_and_the_door_is_closed_after_all(
    owner: Callable[[str], Owner], clock: Hands
) -> None:
    one = owner("enphase")
    first, second = one.ask(), one.ask()
    port = int(first.redirect_uri.rsplit(":", 1)[1].strip("/"))
    with httpx.Client(base_url=first.redirect_uri, trust_env=False) as browser:
        forged = browser.get("/", params={"code": "abc123", "state": "forged"})
        assert forged.status_code == 400
        assert "not waiting" in forged.text
        assert browser.get("/", params={"code": "abc123"}).status_code == 400, "two are pending: which one?"
        assert browser.get("/elsewhere").status_code == 400
        assert browser.get("/", params={"code": "<b>", "state": first.id}).status_code == 200
    with pytest.raises(NotFound):
        one.grants.credentials(first.id, "solaredge", "site_access")
    with pytest.raises(UserError, match="not come back"):
        one.grants.credentials(second.id, "enphase", "owner_consent")
    clock.now += 601
    with pytest.raises(UserError, match="ten minutes"):
        one.grants.credentials(second.id, "enphase", "owner_consent")
    clock.now += 601
    with pytest.raises(NotFound):
        one.grants.pending(second.id)
    one.grants.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)


def test_without_a_state_the_only_pending_consent_is_meant(owner: Callable[[str], Owner]) -> None:
    one = owner("solaredge")
    pending = one.ask()
    answer = httpx.get(pending.redirect_uri, params={"code": "c", "site_id": "7"}, trust_env=False)
    assert answer.status_code == 200
    assert one.brought(pending) == {"code": "c", "site_id": "7"}


def test_a_port_that_is_taken_is_told_with_the_way_round(clock: Hands) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        grants = Grants(taken.getsockname()[1], clock)
        with pytest.raises(UserError, match="SUNGAZE_RETURN_PORT"):
            grants.begin("enphase", "owner_consent", lambda uri, state: uri, come_back=True)


@pytest.mark.parametrize(
    ("vendor", "method", "given"),
    [("enphase", "partner_password", {"client_id": "x"}), ("tigo", "none", {}), ("enphase", "owner_consent", {}),
     ("solaredge", "site_access", {"client_id": "\u202e"})],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_said(
    owner: Callable[[str], Owner], vendor: str, method: str, given: dict[str, Any]
) -> None:
    with pytest.raises(BadRequest):
        connecting.consent_url(owner("enphase").spine.context, vendor, method, given, None)


def test_only_an_answer_that_was_waited_for_brings_the_window_forward(clock: Hands) -> None:
    came: list[str] = []
    grants = Grants(0, clock, lambda: came.append("back"))
    pending = grants.begin("v", "m", lambda back, _state: back, come_back=True)
    try:
        httpx.get(pending.redirect_uri, params={"state": "another", "code": "c"}, trust_env=False)
        assert came == []
        httpx.get(pending.redirect_uri, params={"state": pending.id, "code": "c"}, trust_env=False)
        assert came == ["back"]
        grants.come_back({"state": pending.id, "code": "c"})
        assert came == ["back"]
    finally:
        grants.stop()
