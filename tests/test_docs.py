"""The documentation names what there is: vendors, routes, settings, commands, faults."""

from __future__ import annotations

import re

import pytest
from program import TOP

from sungaze.api.app import create_app
from sungaze.cli import main
from sungaze.config import SETTINGS
from sungaze.emulators._registry import SERVICES
from sungaze.emulators.faults import COMMON_FAULTS
from sungaze.vendors import connectors

GUIDE = (TOP / "docs" / "guide.md").read_text()
README = (TOP / "README.md").read_text()
EXAMPLE = (TOP / ".env.example").read_text()
ROUTES = create_app(None).openapi_schema.paths or {}


@pytest.mark.parametrize("vendor", list(connectors()))
def test_every_vendor_has_its_page_with_name_link_and_plans(vendor: str) -> None:
    declared = connectors()[vendor].vendor
    page = " ".join((TOP / "docs" / "vendors" / f"{vendor}.md").read_text().split())
    for words in (declared.name, declared.link, *(plan.label for plan in declared.plans)):
        assert words in page
    assert declared.name in README


def test_every_credential_stands_in_the_example_of_dotenv() -> None:
    for vendor, connector in connectors().items():
        for method in connector.vendor.methods:
            for field in (field for field in method.fields if not field.once):
                assert f"#SUNGAZE_{vendor.upper()}_{field.name.upper()}=" in EXAMPLE


@pytest.mark.parametrize("setting", list(SETTINGS))
def test_every_setting_is_explained(setting: str) -> None:
    assert f"#{setting}=" in EXAMPLE
    assert f"`{setting}`" in GUIDE


@pytest.mark.parametrize("path", list(ROUTES))
def test_every_route_is_in_the_guide(path: str) -> None:
    item = ROUTES[path]
    for method in ("get", "post", "patch", "delete", "put"):
        if getattr(item, method) is not None:
            assert re.search(rf"`{method.upper()} {re.escape(path)}[?`]", GUIDE), f"{method} {path}"


@pytest.mark.parametrize("command", main.list_commands(None))  # type: ignore[arg-type]
def test_every_command_is_in_the_guide(command: str) -> None:
    assert f"`sungaze {command}" in GUIDE


def test_every_fault_of_the_emulators_is_in_the_guide() -> None:
    services = {service.speaking(name) for service in SERVICES.values() for name in (None, *service.DIALECTS)}
    for name in {*COMMON_FAULTS, *(fault for service in services for fault in service.OWN_FAULTS)}:
        assert re.search(rf"\b{name}\b", GUIDE), name


def test_every_dialect_of_the_emulators_is_in_the_guide() -> None:
    for name in {dialect for service in SERVICES.values() for dialect in service.DIALECTS}:
        assert f"`{name}`" in GUIDE, name


def test_every_picture_and_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) >= 5
    for target in targets:
        assert target.startswith("https://") or (TOP / target).exists(), target


@pytest.mark.parametrize("target", re.findall(r"`make ([a-z-]+)`", README + GUIDE))
def test_every_make_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (TOP / "Makefile").read_text(), re.MULTILINE)
