"""Services of a desktop on the session's bus, which tell on standard output what they were asked.

python bus_program.py COLOUR_SCHEME

A notification server without a screen, a file manager, and the portal's setting for dark (1) or light (2), which a line
on standard input changes.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from gi.repository import Gio, GLib

INTERFACES = """<node>
<interface name='org.freedesktop.Notifications'>
 <method name='GetCapabilities'><arg direction='out' type='as'/></method>
 <method name='Notify'><arg direction='in' type='s'/><arg direction='in' type='u'/><arg direction='in' type='s'/>
  <arg direction='in' type='s'/><arg direction='in' type='s'/><arg direction='in' type='as'/>
  <arg direction='in' type='a{sv}'/><arg direction='in' type='i'/><arg direction='out' type='u'/></method>
 <signal name='ActionInvoked'><arg type='u'/><arg type='s'/></signal>
</interface>
<interface name='org.freedesktop.FileManager1'>
 <method name='ShowItems'><arg direction='in' type='as'/><arg direction='in' type='s'/></method>
 <method name='ShowFolders'><arg direction='in' type='as'/><arg direction='in' type='s'/></method>
</interface>
<interface name='org.freedesktop.portal.Settings'>
 <method name='Read'><arg direction='in' type='s'/><arg direction='in' type='s'/>
  <arg direction='out' type='v'/></method>
 <signal name='SettingChanged'><arg type='s'/><arg type='s'/><arg type='v'/></signal>
</interface>
</node>"""
PLACES = {
    "org.freedesktop.Notifications": ("/org/freedesktop/Notifications", "org.freedesktop.Notifications"),
    "org.freedesktop.FileManager1": ("/org/freedesktop/FileManager1", "org.freedesktop.FileManager1"),
    "org.freedesktop.portal.Settings": ("/org/freedesktop/portal/desktop", "org.freedesktop.portal.Desktop"),
}


def say(*words: Any) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - the test reads what is printed


def main(scheme: str) -> None:
    bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    loop = GLib.MainLoop()
    # The bus belongs to the test, which ends it; this program ends with it.
    bus.set_exit_on_close(False)
    bus.connect("closed", lambda *_: loop.quit())

    def called(_bus: Any, _who: str, path: str, kind: str, method: str, given: Any, call: Any) -> None:
        values = given.unpack()
        if method == "GetCapabilities":
            call.return_value(GLib.Variant("(as)", (["body", "body-markup", "actions"],)))
        elif method == "Notify":
            say("notify", values[1], values[3], values[4])
            call.return_value(GLib.Variant("(u)", (7,)))
            if "click me" in values[4]:
                bus.emit_signal(None, path, kind, "ActionInvoked", GLib.Variant("(us)", (7, "default")))
        elif method == "Read":
            call.return_value(GLib.Variant("(v)", (GLib.Variant("v", GLib.Variant("u", int(scheme))),)))
        else:
            say(method, values[0])
            call.return_value(None)

    for interface in Gio.DBusNodeInfo.new_for_xml(INTERFACES).interfaces:
        path, name = PLACES[interface.name]
        bus.register_object(path, interface, called, None, None)
        bus.call_sync(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
            GLib.Variant("(su)", (name, 4)), None, Gio.DBusCallFlags.NONE, -1, None,
        )  # fmt: skip

    def turn() -> None:
        for line in sys.stdin:
            value = GLib.Variant("v", GLib.Variant("u", int(line)))
            bus.emit_signal(
                None, "/org/freedesktop/portal/desktop", "org.freedesktop.portal.Settings", "SettingChanged",
                GLib.Variant("(ssv)", ("org.freedesktop.appearance", "color-scheme", value.get_variant())),
            )  # fmt: skip

    threading.Thread(target=turn, daemon=True).start()
    say("ready")
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1])
