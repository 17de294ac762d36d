"""The commands. A command's standard output holds its answer and nothing else; logs and errors go to stderr.

Exit codes: 0 done; 1 a defect of Sungaze's, or something that `doctor` found; 2 something a person can mend, said in
one sentence; 3 Sungaze runs on this data folder already.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import click

from sungaze import __version__
from sungaze.config import Settings, load
from sungaze.errors import FolderInUse, UserError, VendorError
from sungaze.logs import LogFile, hold_back, log_to_files, log_to_stderr

if TYPE_CHECKING:
    from sungaze.remote import Desk
    from sungaze.reports.csv_import import Intake, Outcome
    from sungaze.runtime import Runtime
    from sungaze.store import Store
    from sungaze.store.seal import Sealed

Told = ParamSpec("Told")

log = logging.getLogger("sungaze")

MENDABLE: Final = 2
RUNS_ALREADY: Final = 3
TELL_S: Final = 3.0
"""How often long work tells how far it is."""
_ELSEWHERE: Final = {"emulate": "sungaze.emulators.commands:emulate", "world": "sungaze.emulators.commands:world"}
"""Commands that live in their own room, imported only when they are called."""


class _Commands(click.Group):
    """The group of commands, some of which are imported only when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in _ELSEWHERE:
            module, _, name = _ELSEWHERE[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and turn what a person can mend into one sentence and its exit code."""
        try:
            return super().main(*args, **kwargs)
        except (UserError, VendorError) as error:
            click.echo(f"sungaze: {error}", err=True)
            sys.exit(RUNS_ALREADY if isinstance(error, FolderInUse) else MENDABLE)


_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), default=None, help="The folder that holds everything of yours."
)

_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sungaze")
@click.option("--server", is_flag=True, help="No window: print the address and serve until told to stop.")
@click.option("--demo", is_flag=True, help="The demo fleet, on simulated vendors and in a data folder of its own.")
@click.option("--host", default=None, help="With --server: the address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=None, help="With --server: the port; 0 takes a free one."
)
@click.option("--connect", metavar="URL", default=None, help="A window on the Sungaze server at that address.")
@click.option(
    "--print-url", is_flag=True, help="With --server: print the plain address, without a key that opens a session."
)
@_DATA_DIR
@click.pass_context
def main(
    ctx: click.Context,
    server: bool,
    demo: bool,
    host: str | None,
    port: int | None,
    connect: str | None,
    print_url: bool,
    data_dir: Path | None,
) -> None:
    """One window for every solar site you look after. Without a command: open it."""
    ctx.obj = {"data_dir": data_dir, "demo": demo}
    if ctx.invoked_subcommand is not None:
        return
    if not server and (host is not None or port is not None or print_url):
        raise click.UsageError("--host, --port and --print-url go with --server.")
    if connect is not None and (demo or host is not None):
        raise click.UsageError("--connect goes with neither --demo nor --host: what is shown is the server's.")
    settings = load(environ=os.environ, data_dir=data_dir, host=host, port=port, demo=demo)
    log_to_stderr(settings.log)
    if connect is None:
        run(lambda: _runtime(settings), settings, window=not server, print_url=print_url)
    else:
        from sungaze.remote import desk_settings, server_address

        address = server_address(connect)
        own = desk_settings(address, settings, named=data_dir is not None)
        run(lambda: _desk(address, own), own, window=not server, print_url=print_url)


def _lighten() -> None:
    """Keep a start from importing what libraries would try for, and nothing of ours uses: a fifth of its time."""
    for name in ("httpx._main", "pydantic"):  # a command line of its own, with rich; and Litestar's plugin for it
        # None is Python's word for a module that is not to be found; its stubs know of modules only.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def _runtime(settings: Settings) -> Runtime:
    from sungaze.runtime import Runtime

    return Runtime(settings)


def _desk(address: str, settings: Settings) -> Desk:
    from sungaze.remote import Desk

    return Desk(address, settings)


def run(make: Callable[[], Runtime | Desk], settings: Settings, *, window: bool, print_url: bool = False) -> None:
    """Make the parts and run them until the window is closed or a signal comes. Raises UserError."""
    _lighten()
    done = threading.Event()

    def on_signal(*_: Any) -> None:
        done.set()
        if window:
            from sungaze.desktop.window import close_window

            close_window()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    start = _Start(make, settings)
    try:
        if window:
            _open_window(settings, start)
            return
        runtime = start.finish()
        click.echo(runtime.address if print_url else runtime.link())
        opens = "it asks for the token" if print_url else "it opens one session"
        log.info("Open this address; %s. Ctrl-C stops Sungaze.", opens)
        while not done.wait(1.0):
            pass
    finally:
        start.undo()
        # The interpreter would look through every object once more, which takes longer than most of the stop.
        gc.freeze()


class _Start:
    """A start of the parts by a thread of its own, from their import on, which tells meanwhile how far it is."""

    def __init__(self, make: Callable[[], Runtime | Desk], settings: Settings) -> None:
        self._make = make
        self._runtime: Runtime | Desk | None = None
        self._settings = settings
        self.present: Callable[[], bool] = lambda: False
        """Brings the window to the front; whether there is one."""
        self._early = hold_back()
        self._files: LogFile | None = None
        self.done = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="start")
        self._thread.start()

    @property
    def said(self) -> str:
        """How far it is."""
        return "Starting." if self._runtime is None else self._runtime.said

    @property
    def error(self) -> str:
        """Why the parts did not start, as a sentence; empty while they may, and once they have."""
        if self.failure is None or isinstance(self.failure, UserError):
            return str(self.failure or "")
        return "Sungaze could not start; its log tells why."

    def _run(self) -> None:
        try:
            # Thousands of objects come to stay now; looking through them again and again finds nothing.
            gc.disable()
            self._runtime = self._make()
            self._runtime.present = lambda: self.present()
            self._runtime.start()
            # Only now: what ends at its start, because another one runs there, must not write into that one's log.
            first = f"Sungaze {__version__} runs at {self._runtime.address}"
            self._files = log_to_files(self._early, self._settings.logs, first)
        except BaseException as failure:
            self.failure = failure
        finally:
            gc.enable()
        self.done.set()

    def finish(self) -> Runtime | Desk:
        """The parts, once they have started. Raises what the start ended in."""
        self._thread.join()
        if self.failure is not None:
            raise self.failure
        assert self._runtime is not None
        return self._runtime

    def undo(self) -> None:
        """Stop the parts, once they have started or failed to."""
        self._thread.join()
        if self._runtime is not None:
            self._runtime.stop()
        if self._files is not None:
            logging.getLogger().removeHandler(self._files)
            self._files.close()


def _open_window(settings: Settings, start: _Start) -> None:
    """Show the parts in a window; where their start takes long, the window comes first and says how far it is."""
    from sungaze.desktop import SecretStoreState, WindowUnavailable, library, open_desktop, present_window
    from sungaze.folder import present, seems_owned

    def secret_store() -> SecretStoreState:
        standing = start.finish().secrets()
        return {"kind": standing.kind, "said": standing.words}

    start.present = present_window
    try:
        missing: WindowUnavailable | None = None
        try:
            library()  # meanwhile, because it takes as long as the parts do
        except WindowUnavailable as error:
            missing = error
        if missing is not None or seems_owned(settings):
            # A second start must not show a window of its own for a moment.
            start.finish()
        if missing is not None:
            raise missing
        open_desktop(
            lambda: start.finish().link(window=True), data_dir=settings.data_dir, demo=settings.demo,
            token=lambda: start.finish().sessions.owner_secret, starting=start, secret_store=secret_store,
        )  # fmt: skip
        start.finish()
    except FolderInUse:
        if not present(settings):
            raise
        click.echo(f"Sungaze is running on {settings.data_dir} already; its window is in front now.", err=True)


def _settings(ctx: click.Context, data_dir: Path | None) -> Settings:
    outer = ctx.obj or {}
    return load(environ=os.environ, data_dir=data_dir or outer.get("data_dir"), demo=bool(outer.get("demo")))


def _raise_if_empty(settings: Settings) -> None:
    if not settings.database.exists():
        raise UserError(f"There is no data in {settings.data_dir} yet. Name another folder with --data-dir.")


def _open_store(settings: Settings) -> Any:
    from sungaze.store import Store

    _raise_if_empty(settings)
    return Store(settings.database)


def _moment(text: str | None) -> int | None:
    from sungaze import clock

    try:
        return None if text is None else clock.parse_instant(text)
    except (ValueError, OverflowError):
        raise UserError(f"“{text}” is no moment. Write it as 2026-06-01 or 2026-06-01T12:00:00Z.") from None


@main.command()
@click.option("--format", "form", type=click.Choice(["csv"]), default="csv", show_default=True)
@click.option("--site", type=int, default=None, help="One site's id; all of them without.")
@click.option("--metric", default=None, help="One metric; all of them without.")
@click.option("--from", "start", default=None, help="From this moment on (ISO 8601, UTC without an offset).")
@click.option("--to", "end", default=None, help="Up to this moment.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--sites", type=_FILE, default=None, help="Write what is known of the sites here, for an import.")
@click.option("--devices", type=_FILE, default=None, help="Write what is known of the devices here, for an import.")
@_DATA_DIR
@click.pass_context
def export(
    ctx: click.Context,
    form: str,
    site: int | None,
    metric: str | None,
    start: str | None,
    end: str | None,
    output: Path,
    sites: Path | None,
    devices: Path | None,
    data_dir: Path | None,
) -> None:
    """Write samples as canonical CSV; works beside a running Sungaze."""
    from sungaze.reports.csv_export import export_csv
    from sungaze.reports.site_files import write_devices, write_sites

    settings = _settings(ctx, data_dir)
    rows = export_csv(settings.database, output, site=site, metric=metric, start=start, end=end)
    if sites is not None or devices is not None:
        store = _open_store(settings)
        try:
            if sites is not None:
                write_sites(store.fleet, sites)
            if devices is not None:
                write_devices(store.fleet, devices)
        finally:
            store.close()
    logging.getLogger("sungaze").info("%d samples", rows)
    click.echo(f"{rows} samples written to {output}", err=True)


@main.command("import")
@click.argument("file", type=_FILE)
@click.option(
    "--sites", type=_FILE, default=None, help="A CSV of what is known of the sites, the time zones above all."
)
@click.option("--devices", type=_FILE, default=None, help="A CSV of what is known of the devices.")
@click.option("--replace", is_flag=True, help="Replace what is stored; without, only what is missing is filled.")
@click.option("--site", default=None, metavar="ID|VENDOR/ID", help="A portal's own file: the site that it is of.")
@click.option("--map", "columns", default=None, metavar="COLUMN=WHAT,…", help="A portal's own file: its columns.")
@click.option("--mapping", default=None, metavar="NAME", help="The name to keep that under, or to take it from.")
@click.option("--dates", type=click.Choice(["ymd", "dmy", "mdy"]), default=None, help="The order in its dates.")
@click.option("--decimal", type=click.Choice([".", ","]), default=None, help="Its decimal sign.")
@click.option(
    "--interval",
    "interval_s",
    type=click.IntRange(0, 86_400),
    default=None,
    help="Seconds that a row covers; 86400 for a local day, 0 for a moment.",
)
@click.option("--stamps", type=click.Choice(["start", "end"]), default=None, help="Which end of a row its time names.")
@click.option("--zone", default=None, help="The zone of its times (IANA name), where it is not the site's.")
@click.option("--yes", is_flag=True, help="Import without asking after the preview.")
@_DATA_DIR
@click.pass_context
def import_(
    ctx: click.Context,
    /,
    file: Path,
    sites: Path | None,
    devices: Path | None,
    replace: bool,
    data_dir: Path | None,
    yes: bool,
    **of_portal: Any,
) -> None:
    """Take a CSV file into the store: canonical samples, or a portal's own table; not while Sungaze runs there."""
    from sungaze.folder import Folder
    from sungaze.reports.csv_import import Intake, import_csv, is_canonical
    from sungaze.reports.site_files import read_devices, read_sites
    from sungaze.reports.text_files import first_line
    from sungaze.store import Store
    from sungaze.vendors import connectors

    settings = _settings(ctx, data_dir)
    log_to_stderr("error")
    canonical = is_canonical(first_line(file))
    if canonical and any(value is not None for value in of_portal.values()):
        raise UserError(
            f"The columns of {file} are known. Nothing was imported; leave out what is for a portal's file."
        )
    facts = read_sites(sites) if sites is not None else {}
    parts = read_devices(devices) if devices is not None else {}
    folder = Folder(settings)
    try:
        store = Store(settings.database)
        try:
            intake = Intake(store, time.time(), sites=facts, devices=parts, replace=replace)
            if canonical:
                done = import_csv(file, intake, connectors(), _telling(_lines_read))
            else:
                done = _import_portal(store, file, intake, yes, **of_portal)
        finally:
            store.close()
    finally:
        folder.release()
    for sentence in done.sentences():
        click.echo(sentence)


def _import_portal(
    store: Store,
    file: Path,
    intake: Intake,
    yes: bool,
    *,
    site: str | None,
    columns: str | None,
    mapping: str | None,
    **said: Any,
) -> Outcome:
    """What became of a portal's file, once its preview was shown and confirmed. Raises UserError."""
    from sungaze.reports import portal_import
    from sungaze.reports.portal import parse_wish
    from sungaze.vendors import connectors

    table = portal_import.table_of(file)
    wish = parse_wish(columns) if columns is not None else None
    choice = portal_import.choose(store, table, wish, mapping, said)
    if site is None:
        raise UserError("It is not said which site it is of. Nothing was imported; say --site ID or --site VENDOR/ID.")
    key = portal_import.site_key(store, site, connectors())
    tz = portal_import.settle_zone(store, intake, key)
    seen = portal_import.look(file, intake, key, choice, table, tz)
    for line in portal_import.told(seen, choice.mapping, tz):
        click.echo(line)
    if not yes and not (sys.stdin.isatty() and click.confirm("Import this?", err=True)):
        raise UserError("Nothing was imported; add --yes once the preview is right.")
    portal_import.remember(store, choice)
    return portal_import.import_portal(file, intake, key, choice, table, tz, _telling(_lines_read))


def _telling(say: Callable[Told, str]) -> Callable[Told, None]:
    """Tells of long work on standard error, every few seconds."""
    told = time.monotonic()

    def tell(*facts: Told.args, **more: Told.kwargs) -> None:
        nonlocal told
        if time.monotonic() - told > TELL_S:
            told = time.monotonic()
            click.echo(say(*facts, **more), err=True)

    return tell


def _lines_read(lines: int, share: float) -> str:
    return f"{lines:,} lines, {share:.0%} of the file"


@main.command()
@click.argument("recording", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--vendor", required=True, help="Whose answers they are.")
@click.option("--timezone", default=None, help="The zone (IANA name) of sites whose own the file does not tell.")
@click.option(
    "--epoch-base", type=click.Choice(["utc", "local"]), default=None, help="Generac: what the series' epochs count."
)
def replay(recording: Path, vendor: str, timezone: str | None, epoch_base: str | None) -> None:
    """Read recorded answers (HAR, or JSON lines of messages) and print canonical JSON lines; nothing is asked."""
    from sungaze.jobs.replay import replay as lines_of

    log_to_stderr("error")
    recall = {"epoch_base": epoch_base} if epoch_base else {}
    for line in lines_of(recording, vendor, timezone, say=lambda words: click.echo(words, err=True), recall=recall):
        click.echo(line)


@main.command()
@click.argument("account", type=int)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--since", default=None, help="Only answers from this moment on (ISO 8601, UTC without an offset).")
@_DATA_DIR
@click.pass_context
def capture(ctx: click.Context, account: int, output: Path, since: str | None, data_dir: Path | None) -> None:
    """Write an account's kept answers as a HAR file without secrets, names, addresses and serials."""
    from sungaze.jobs.capture import capture as write_capture

    store = _open_store(_settings(ctx, data_dir))
    try:
        done = write_capture(store, account, output, since=_moment(since))
    finally:
        store.close()
    left = f"; {done.left_out} were left out" if done.left_out else ""
    click.echo(f"{done.answers} answers written to {output}{left}", err=True)


@main.command()
@click.option("--account", type=int, default=None, help="Only the sites of one account.")
@click.option("--since", default=None, help="Only answers from this moment on (ISO 8601, UTC without an offset).")
@_DATA_DIR
@click.pass_context
def rederive(ctx: click.Context, account: int | None, since: str | None, data_dir: Path | None) -> None:
    """Read the kept answers again and mend what was read wrongly; not while Sungaze runs on that folder."""
    from sungaze.folder import Folder
    from sungaze.jobs.rederive import rederive as mend
    from sungaze.vault import open_vault

    settings = _settings(ctx, data_dir)
    log_to_stderr("error")
    moment = _moment(since)
    _raise_if_empty(settings)
    folder = Folder(settings)
    try:
        store = _open_store(settings)
        try:
            done = mend(store, open_vault(settings), time.time(), account_id=account, since=moment)
        finally:
            store.close()
    finally:
        folder.release()
    click.echo(done.changed)
    odd = f", {done.unreadable} of them could not be" if done.unreadable else ""
    removed = f", {done.retracted} of them taken out" if done.retracted else ""
    click.echo(f"{done.answers} answers read again{odd}; {done.changed} values changed{removed}", err=True)


@main.command()
@click.option("--all", "everything", is_flag=True, help="All but the last two days, corrections to come or not.")
@_DATA_DIR
@click.pass_context
def seal(ctx: click.Context, everything: bool, data_dir: Path | None) -> None:
    """Fold past days into blocks now, as each night does; not while Sungaze runs on that folder."""
    from sungaze.folder import Folder
    from sungaze.vendors import connectors

    settings = _settings(ctx, data_dir)
    log_to_stderr("error")
    _raise_if_empty(settings)
    folder = Folder(settings)
    try:
        store = _open_store(settings)
        try:
            before = settings.database.stat().st_size
            late_days = {vendor_id: found.vendor.late_days for vendor_id, found in connectors().items()}
            tell = _telling(lambda folded: f"{folded.samples:,} values folded")

            def step(folded: Sealed) -> bool:
                tell(folded)
                return True

            done = store.seal(time.time(), late_days=late_days, everything=everything, step=step)
            store.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            store.close()
    finally:
        folder.release()
    click.echo(done.samples)
    size = settings.database.stat().st_size
    click.echo(
        f"{done.samples} values folded into {done.blocks} blocks; {before / 1e6:.1f} MB before, "
        f"{size / 1e6:.1f} MB now",
        err=True,
    )


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_DATA_DIR
@click.pass_context
def backup(ctx: click.Context, file: Path, data_dir: Path | None) -> None:
    """Write a copy of your data, whole and checked, without credentials; works beside a running Sungaze."""
    from sungaze.store.backup import backup as write_backup

    settings = _settings(ctx, data_dir)
    _raise_if_empty(settings)
    size = write_backup(settings.database, file)
    click.echo(f"{file} was written and checked, {size / 2**20:,.1f} MB. Credentials are not in it.", err=True)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_DATA_DIR
@click.pass_context
def restore(ctx: click.Context, file: Path, data_dir: Path | None) -> None:
    """Put a backup in the place of your data, which is kept beside it; not while Sungaze runs on that folder."""
    from sungaze.folder import Folder
    from sungaze.store.backup import restore as put_back

    settings = _settings(ctx, data_dir)
    folder = Folder(settings)
    try:
        kept = put_back(settings.database, file, time.time(), demo=settings.demo)
    finally:
        folder.release()
    where = f" What stood there is kept as {kept}." if kept is not None else ""
    click.echo(f"{file} is in place as {settings.database}.{where}", err=True)


@main.command()
@click.option("--offline", is_flag=True, help="Ask none of the vendors' addresses.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@_DATA_DIR
@click.pass_context
def doctor(ctx: click.Context, offline: bool, as_json: bool, data_dir: Path | None) -> None:
    """Look through data, disk, clock, quotas and vendors; exit code 1 where something needs you. Changes nothing."""
    from sungaze.doctor import examine

    settings = _settings(ctx, data_dir)
    log_to_stderr("error")
    _raise_if_empty(settings)
    report = examine(settings, time.time(), offline=offline)
    click.echo(report.json() if as_json else report.text())
    sys.exit(0 if report.fine else 1)


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@_DATA_DIR
@click.pass_context
def diagnostics(ctx: click.Context, output: Path, data_dir: Path | None) -> None:
    """Write a zip file that tells of this installation and its log, without names and secrets."""
    from sungaze.diagnostics import write
    from sungaze.vault import open_vault

    settings = _settings(ctx, data_dir)
    write(settings, open_vault(settings), output, time.time())
    click.echo(f"Written to {output}. Look through it before you send it.", err=True)


@main.command()
@click.argument("parts", nargs=-1)
@click.option("--against", default="", metavar="PEERS", help="Stores beside ours, with commas: victoriametrics,…")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def bench(parts: tuple[str, ...], against: str, as_json: bool) -> None:
    """Run benchmarks and print one table; only in a checkout of the source."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "bench" / "__main__.py").is_file():
        raise UserError("The benchmarks are part of the source, not of this program: run them in a checkout.")
    # Beside the package, not in it: only a checkout has them.
    sys.path.insert(0, str(checkout))
    sys.exit(importlib.import_module("bench.__main__").main(parts, against, as_json))


@main.command()
def openapi() -> None:
    """Print the API's contract, an OpenAPI document."""
    from sungaze.api.app import create_app

    click.echo(json.dumps(create_app(None).openapi_schema.to_schema(), indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
