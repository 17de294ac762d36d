"""The wheel and the Debian package: installed, started, taken away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packed import DIST, Packed

pytestmark = [pytest.mark.dist, pytest.mark.timeout(300)]


@pytest.fixture
def package() -> Iterator[Path]:
    """The Debian package, installed."""
    if subprocess.run(["dpkg-query", "-W", "sungaze"], capture_output=True).returncode == 0:
        pytest.fail("sungaze is installed on this computer already: dpkg -r sungaze")
    (file,) = DIST.glob("sungaze_*.deb")
    subprocess.run(["dpkg", "-i", str(file)], check=True, capture_output=True)
    yield file
    subprocess.run(["dpkg", "-r", "sungaze"], check=True, capture_output=True)
    assert not Path("/usr/bin/sungaze").is_symlink()
    assert not Path("/usr/lib/sungaze").exists()


def test_the_debian_package_brings_a_program_that_runs_and_takes_it_away_again(
    package: Path, room: Path, start: Callable[..., Packed]
) -> None:
    fields = subprocess.run(["dpkg-deb", "-f", str(package), "Depends"], check=True, capture_output=True, text=True)
    assert {"gir1.2-webkit2-4.1", "gir1.2-gtk-3.0"} <= set(fields.stdout.strip().split(", "))
    (room / "sungaze").unlink()
    program = start(room, "--server", "--port", "0", program="/usr/bin/sungaze")
    with program.serving() as client:
        assert client.get("/api/health").status_code == 200
        assert client.get("/").status_code == 200
    assert program.unpacked() == []
    assert program.stop() == 0
    for name in ("applications/sungaze.desktop", "icons/hicolor/48x48/apps/sungaze.png"):
        assert (Path("/usr/share") / name).is_file()


def test_systemd_takes_the_unit_and_finds_little_to_mend(package: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here")
    unit = "/usr/lib/systemd/system/sungaze.service"
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    # Tenths: 2.0 is what systemd calls OK, 10 is a service without any of its options.
    subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], check=True)


def test_the_wheel_serves_its_pages_where_no_checkout_is(tmp_path: Path) -> None:
    (wheel,) = DIST.glob("sungaze-*.whl")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True)
    asking = "from sungaze.runtime import pages_folder; print(pages_folder())"
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", asking], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert Path(told.stdout.strip()) == site / "sungaze" / "web"
    assert (site / "sungaze" / "web" / "index.html").is_file()
    helped = subprocess.run(
        [site / "bin" / "sungaze", "--version"], cwd=tmp_path, env=environment, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    assert helped.stdout.startswith("sungaze, version")
