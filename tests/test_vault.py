"""Secrets: for their owner only, whole or not at all, and gone when they are forgotten."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sungaze.errors import ConfigError
from sungaze.vault import Vault

SECRET = "refresh-me-not"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.json"


@pytest.fixture
def vault(path: Path) -> Vault:
    return Vault(path, {})


def test_what_was_kept_is_there_when_the_file_is_opened_again(path: Path, vault: Vault) -> None:
    vault.keep_credentials(1, {"api_key": "k"})
    vault.remember(1, {"refresh_token": SECRET})
    again = Vault(path, {})
    assert again.credentials(1, "enphase") == {"api_key": "k"}
    assert again.recall(1) == {"refresh_token": SECRET}


def test_the_file_is_for_its_owner_only_even_where_it_was_open_before(path: Path, vault: Vault) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    vault.remember(1, {"refresh_token": SECRET})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secrets.json"]


def test_rotated_tokens_replace_the_ones_before_whole(vault: Vault) -> None:
    vault.remember(1, {"access_token": "a", "refresh_token": "b"})
    vault.remember(1, {"refresh_token": "c"})
    assert vault.recall(1) == {"refresh_token": "c"}


def test_an_account_sees_nothing_of_another(vault: Vault) -> None:
    vault.keep_credentials(1, {"api_key": "one"})
    assert vault.credentials(2, "enphase") == {}
    assert vault.recall(2) == {}


def test_an_accounts_own_credentials_win_over_those_of_the_environment(path: Path) -> None:
    vault = Vault(path, {"SUNGAZE_ENPHASE_API_KEY": "env", "SUNGAZE_ENPHASE_CLIENT_ID": "env", "SUNGAZE_CPS_KEY": "x"})
    vault.keep_credentials(1, {"api_key": "own"})
    assert vault.credentials(1, "enphase") == {"api_key": "own", "client_id": "env"}


def test_what_is_forgotten_is_on_the_disk_no_more(path: Path, vault: Vault) -> None:
    for account in (1, 2):
        vault.keep_credentials(account, {"api_key": f"{SECRET}-{account}"})
        vault.remember(account, {"refresh_token": f"{SECRET}-{account}"})
    vault.forget(1)
    content = path.read_text()
    assert f"{SECRET}-1" not in content
    assert f"{SECRET}-2" in content


def test_forgetting_what_was_never_kept_is_no_error(vault: Vault) -> None:
    vault.forget(9)
    assert vault.recall(9) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"1": 2}', b'{"1": {"session": {"a": 1}}}', b"\xff\xfe\x00"])
def test_a_damaged_file_is_told_in_a_sentence_without_its_content_and_left_alone(
    path: Path, vault: Vault, content: bytes
) -> None:
    path.write_bytes(content)
    for attempt in (lambda: vault.recall(1), lambda: vault.remember(1, {"refresh_token": SECRET})):
        with pytest.raises(ConfigError, match="is damaged") as raised:
            attempt()
        assert SECRET not in str(raised.value)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(path: Path, vault: Vault) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        vault.recall(1)


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "missing" / "secrets.json", {})
    with pytest.raises(ConfigError, match="cannot be written") as raised:
        vault.remember(1, {"refresh_token": SECRET})
    assert SECRET not in str(raised.value)


FULL = """
import pathlib, resource, signal, sys
from sungaze.errors import ConfigError
from sungaze.vault import Vault
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    Vault(pathlib.Path(sys.argv[1]), {}).remember(1, {"refresh_token": "x" * 5000})
except ConfigError as error:
    print(error)
"""


def test_a_full_disk_keeps_the_tokens_that_were_there(path: Path, vault: Vault) -> None:
    vault.remember(1, {"refresh_token": "good"})
    run = subprocess.run([sys.executable, "-W", "error", "-c", FULL, str(path)], capture_output=True, text=True,
                         timeout=60, check=True)  # fmt: skip
    assert "What was there is kept" in run.stdout
    assert vault.recall(1) == {"refresh_token": "good"}
    assert [p.name for p in path.parent.iterdir()] == ["secrets.json"]


def test_what_a_killed_process_left_half_written_does_not_stay(path: Path, vault: Vault) -> None:
    half = path.with_name(".secrets.json.part")
    half.write_text(SECRET)
    vault.remember(1, {"refresh_token": "good"})
    assert not half.exists()
    assert vault.recall(1) == {"refresh_token": "good"}


def test_threads_that_rotate_at_once_lose_nothing(vault: Vault) -> None:
    def rotate(account: int) -> None:
        for k in range(20):
            vault.remember(account, {"refresh_token": f"{account}-{k}"})

    threads = [threading.Thread(target=rotate, args=(account,)) for account in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [vault.recall(a) for a in range(1, 5)] == [{"refresh_token": f"{a}-19"} for a in range(1, 5)]


def test_a_reader_beside_a_writer_always_sees_a_whole_file(vault: Vault) -> None:
    done = threading.Event()
    vault.remember(1, {"refresh_token": "x"})

    def write() -> None:
        for k in range(60):
            vault.remember(1, {"refresh_token": "x" * (1 + 97 * k % 4_000)})
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = 0
    while not done.is_set():
        assert set(vault.recall(1)["refresh_token"]) == {"x"}
        seen += 1
    thread.join(60)
    assert seen > 0
