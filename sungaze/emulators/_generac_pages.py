"""The pages of Generac's dashboard, as far as they are known; the form and the titles are [assumed]."""

from __future__ import annotations

from collections.abc import Sequence

FORM = (
    '<form action="{action}" method="POST"><input type="hidden" name="{csrf_name}" value="{csrf}">'
    '<input name="{email}" type="text"><input name="{password}" type="password">'
    '<input name="remember" type="checkbox" value="y"><button type="submit">Sign in</button></form>'
)
FIELDS = {"action": "/login", "csrf_name": "csrf_token", "email": "email", "password": "password"}
CHANGED_FIELDS = {"action": "/session/new", "csrf_name": "_token", "email": "user_mail", "password": "user_pass"}
"""What the fault `form_names` turns the form's names into."""


def page(title: str, body: str) -> bytes:
    """Return a whole HTML page."""
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>".encode()


def login_page(csrf: str, names: dict[str, str], complaint: str = "") -> bytes:
    """Return the sign-in page; after a failure it says so and is otherwise the same."""
    said = f'<p class="error">{complaint}</p>' if complaint else ""
    return page("Sign in", said + FORM.format(csrf=csrf, **names))


def dashboard_page(homes: Sequence[tuple[str, int]]) -> bytes:
    """Return the signed-in page: one link for each profile, the first one's data named in its script."""
    links = "".join(f'<a href="/users/{number}">{name}</a>' for name, number in homes)
    title = f"{homes[0][0]} - Dashboard" if len(homes) == 1 else "Dashboard"
    return page(title, f'{links}<script>var profile="/{homes[0][1]}.json";</script>')


def profile_page(name: str, number: int) -> bytes:
    """Return the page of one profile."""
    return page(f"{name} - Dashboard", f'<h1>{name}</h1><script>var profile="/{number}.json";</script>')


def notice_page(title: str, words: str) -> bytes:
    """Return a page that only says something."""
    return page(title, f"<h1>{title}</h1><p>{words}</p>")
