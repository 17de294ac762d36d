"""What only the system can do: a notification, showing a file in its folder, telling whether it is dark.

Each way of Linux goes over the session's message bus; Windows and macOS are asked by programs that they bring. None of
these functions raises: what cannot be done is answered with False.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

BUS_MS: Final = 3_000
THEME_MS: Final = 400
"""The window waits for this answer before it is shown."""
PROGRAM_S: Final = 10
_NAME: Final = "Sungaze"

# Words go in as arguments and as the environment: neither reads them as a part of a program.
_MAC_NOTIFY: Final = (
    "on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run",
)  # fmt: skip
_WINDOWS_NOTIFY: Final = """
$null = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$kind = [Windows.UI.Notifications.ToastTemplateType]::ToastText02
$content = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent($kind)
$lines = $content.GetElementsByTagName('text')
$null = $lines.Item(0).AppendChild($content.CreateTextNode($env:SUNGAZE_TOAST_TITLE))
$null = $lines.Item(1).AppendChild($content.CreateTextNode($env:SUNGAZE_TOAST_BODY))
$toast = [Windows.UI.Notifications.ToastNotification]::new($content)
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('Sungaze').Show($toast)
"""

_SCHEMES: Final = {1: True, 2: False}
"""The portal's words for dark and light; 0 is no wish."""

Run = Callable[..., Any]


def runs(command: Sequence[str], environment: Mapping[str, str] | None = None, *, accepts: int = 0) -> bool:
    """Whether a program of the system ended well; `accepts` is another exit code that counts as well."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        done = subprocess.run(
            list(command), env=None if environment is None else dict(environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PROGRAM_S, check=False, creationflags=flags,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        log.info("%s could not be run: %s", command[0], type(error).__name__)
        return False
    return done.returncode in {0, accepts}


class Notifier:
    """Shows notifications, each in the place of the one before. `clicked` is called when a person chooses one."""

    def __init__(self, clicked: Callable[[], object], *, system: str = sys.platform, run: Run = runs) -> None:
        self._clicked = clicked
        self._system = system
        self._run = run
        self._shown = 0
        self._listening = False

    def show(self, title: str, body: str) -> bool:
        """Whether the desktop took it."""
        if self._system == "darwin":
            program = [word for line in _MAC_NOTIFY for word in ("-e", line)]
            return bool(self._run(["osascript", *program, title, body]))
        if self._system == "win32":
            words = {"SUNGAZE_TOAST_TITLE": title, "SUNGAZE_TOAST_BODY": body}
            command = ["powershell", "-NoProfile", "-NonInteractive", "-Command", _WINDOWS_NOTIFY]
            return bool(self._run(command, os.environ | words))
        return self._over_the_bus(title, body)

    def _over_the_bus(self, title: str, body: str) -> bool:
        bus = session_bus()
        if bus is None:
            return False
        from gi.repository import GLib

        service = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications")
        try:
            able = _call(bus, *service, "GetCapabilities", None, "(as)")[0]
            self._listen(bus)
            # Where the body is markup, a site's name with an ampersand would be refused or read as such.
            told = GLib.markup_escape_text(body) if "body-markup" in able else body
            hints = {"desktop-entry": GLib.Variant("s", "sungaze"), "category": GLib.Variant("s", "device.error")}
            arguments = GLib.Variant(
                "(susssasa{sv}i)",
                (_NAME, self._shown, "sungaze", title, told, ["default", f"Open {_NAME}"], hints, -1),
            )
            self._shown = _call(bus, *service, "Notify", arguments, "(u)")[0]
        except GLib.Error as error:
            log.info("The desktop shows no notifications: %s", error.message)
            return False
        return True

    def _listen(self, bus: Any) -> None:
        if self._listening:
            return
        self._listening = True
        from gi.repository import Gio

        def invoked(_bus: Any, _from: Any, _path: Any, _kind: Any, _name: Any, told: Any) -> None:
            if told.unpack()[0] == self._shown:
                self._clicked()

        kind = "org.freedesktop.Notifications"
        bus.signal_subscribe(kind, kind, "ActionInvoked", None, None, Gio.DBusSignalFlags.NONE, invoked)


def show_in_folder(path: Path, *, system: str = sys.platform, run: Run = runs) -> bool:
    """Whether the system's file manager was asked to show the path; a folder is opened itself."""
    if system == "darwin":
        return bool(run(["open", str(path)] if path.is_dir() else ["open", "-R", str(path)]))
    if system == "win32":
        # Explorer answers 1 although it has opened.
        return bool(run(["explorer", str(path) if path.is_dir() else f"/select,{path}"], accepts=1))
    bus = session_bus()
    if bus is not None:
        from gi.repository import GLib

        method = "ShowFolders" if path.is_dir() else "ShowItems"
        try:
            _call(
                bus, "org.freedesktop.FileManager1", "/org/freedesktop/FileManager1", method,
                GLib.Variant("(ass)", ([path.as_uri()], "")), None,
            )  # fmt: skip
        except GLib.Error as error:
            log.info("No file manager answers on the bus: %s", error.message)
        else:
            return True
    return bool(run(["xdg-open", str(path if path.is_dir() else path.parent)]))


def is_dark(*, system: str = sys.platform, run: Run = runs) -> bool | None:
    """Whether the system asks programs to be dark; None where it does not say."""
    if system == "darwin":
        return bool(run(["sh", "-c", 'test "$(defaults read -g AppleInterfaceStyle)" = Dark']))
    if system == "win32":
        return _windows_is_dark()
    bus = session_bus()
    if bus is None:
        return None
    from gi.repository import GLib

    try:
        told = _call(
            bus, "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop", "Read",
            GLib.Variant("(ss)", ("org.freedesktop.appearance", "color-scheme")), "(v)",
            interface="org.freedesktop.portal.Settings", timeout_ms=THEME_MS,
        )[0]  # fmt: skip
    except GLib.Error:
        return None
    return _SCHEMES.get(told)


def follow_dark(changed: Callable[[bool], object]) -> None:
    """Have `changed` told, on the window's loop, whenever a Linux desktop turns dark or light."""
    bus = session_bus()
    if bus is None:
        return
    from gi.repository import Gio

    def told(_bus: Any, _from: Any, _path: Any, _kind: Any, _name: Any, values: Any) -> None:
        _group, setting, value = values.unpack()
        if setting == "color-scheme" and value in _SCHEMES:
            changed(_SCHEMES[value])

    kind = "org.freedesktop.portal.Settings"
    path = "/org/freedesktop/portal/desktop"
    # By its first argument, so that not every setting of the desktop wakes the window.
    bus.signal_subscribe(
        None, kind, "SettingChanged", path, "org.freedesktop.appearance", Gio.DBusSignalFlags.NONE, told
    )


def _windows_is_dark() -> bool | None:
    registry = importlib.import_module("winreg")
    path = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
    try:
        with registry.OpenKey(registry.HKEY_CURRENT_USER, path) as key:
            return bool(registry.QueryValueEx(key, "AppsUseLightTheme")[0] == 0)
    except OSError:
        return None


def session_bus() -> Any:
    """The session's message bus, or None; never starts one, as asking for it may do under X."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS") and not (runtime and (Path(runtime) / "bus").exists()):
        return None
    try:
        from gi.repository import Gio, GLib
    except ImportError:
        return None
    try:
        bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
    except GLib.Error as error:
        log.info("The session's message bus does not answer: %s", error.message)
        return None
    # Its usual way is to end the whole process when the bus goes away.
    bus.set_exit_on_close(False)
    return bus


def _call(
    bus: Any,
    name: str,
    path: str,
    method: str,
    arguments: Any,
    answer: str | None,
    *,
    interface: str | None = None,
    timeout_ms: int = BUS_MS,
) -> Any:
    """What a service on the bus answers, unpacked. Raises GLib.Error."""
    from gi.repository import Gio, GLib

    kind = GLib.VariantType(answer) if answer else None
    flags = Gio.DBusCallFlags.NONE
    return bus.call_sync(name, path, interface or name, method, arguments, kind, flags, timeout_ms, None).unpack()
