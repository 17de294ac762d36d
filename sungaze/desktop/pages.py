"""The pages that the window shows while there is no server to ask for one."""

from __future__ import annotations

import html
import string
from typing import Final

LIGHT: Final = "#f6f7f9"
DARK: Final = "#0e1116"
"""The grounds of the two themes (web/src/tokens.css): seen until a page has painted."""

_PAGE: Final = string.Template("""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sungaze</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark"><style>
html { height: 100%; background: $ground; color: $ink; font: 15px/1.5 system-ui, sans-serif }
body { display: grid; place-content: center; justify-items: center; height: 100%; margin: 0 2em; text-align: center }
h1 { font-size: 20px; margin: 0 }
p { max-width: 34em; margin: .4em 0 }
.bar { width: 160px; height: 3px; border-radius: 2px; background: $line; overflow: hidden; margin-top: .8em }
.bar i { display: block; height: 100%; width: 40%; border-radius: 2px; background: $sun; animation: run 1.4s infinite }
@keyframes run { from { transform: translateX(-100%) } to { transform: translateX(260%) } }
@media (prefers-reduced-motion: reduce) { .bar i { width: 100%; animation: none } }
</style></head><body><h1>Sungaze</h1><p role="$role" id="said">$said</p>$bar</body></html>""")


def page_of(said: str, *, dark: bool, waiting: bool) -> str:
    """A page with one sentence; `waiting` shows that something goes on. Without a sentence it is the ground alone."""
    light_or_dark = {"ground": LIGHT, "ink": "#161a22", "line": "#e3e7ee", "sun": "#e8930c"}
    if dark:
        light_or_dark = {"ground": DARK, "ink": "#e8ebf0", "line": "#252c37", "sun": "#f6ad3c"}
    if not said:
        return f"<!doctype html><html style='background: {light_or_dark['ground']}'></html>"
    return _PAGE.substitute(
        light_or_dark, said=html.escape(said), role="status" if waiting else "alert",
        bar='<div class="bar"><i></i></div>' if waiting else "",
    )  # fmt: skip
