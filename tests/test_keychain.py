"""Secrets in a real Secret Service: what goes in comes back; one that fails loses nothing and stops nobody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from secret_service import SecretService

from sungaze import keychain
from sungaze.errors import Unavailable
from sungaze.keychain import Keychain, KeychainUnavailable, Kind
from sungaze.vault import Vault

SECRET = "refresh-me-not"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretService]:
    started = SecretService(tmp_path)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", started.address)
    yield started
    started.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "secrets.json"


def opened(path: Path, *, to_file: bool = False) -> Vault:
    """The vault as a new start sees it."""
    return Vault(path, {}, Keychain(patience_s=5, hold_s=0), to_file=to_file)


def test_what_was_kept_is_in_the_keyring_and_not_in_the_file(service: SecretService, path: Path) -> None:
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    vault.remember(1, {"refresh_token": f"{SECRET} é 🌞"})
    assert SECRET not in path.read_text()
    assert sum(SECRET in text for text in service.entries().values()) == 2
    again = opened(path)
    assert again.credentials(1, "enphase") == {"password": SECRET}
    assert again.recall(1) == {"refresh_token": f"{SECRET} é 🌞"}
    assert again.standing().kind == "keyring"
    assert "1 account are in the desktop's keyring" in again.standing().words


def test_rotated_tokens_replace_the_ones_before_and_leave_one_entry(service: SecretService, path: Path) -> None:
    vault = opened(path)
    for k in range(5):
        vault.remember(1, {"refresh_token": f"token-{k}"})
    assert opened(path).recall(1) == {"refresh_token": "token-4"}
    assert len(service.entries()) == 1


def test_an_accounts_own_credentials_win_over_those_of_the_environment(service: SecretService, path: Path) -> None:
    opened(path).keep_credentials(1, {"api_key": "own"})
    vault = Vault(path, {"SUNGAZE_ENPHASE_API_KEY": "env", "SUNGAZE_ENPHASE_CLIENT_ID": "env"}, Keychain())
    assert vault.credentials(1, "enphase") == {"api_key": "own", "client_id": "env"}


def test_what_is_forgotten_is_in_the_keyring_no_more(service: SecretService, path: Path) -> None:
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    vault.keep_credentials(2, {"password": "other"})
    vault.forget(1)
    assert [SECRET in text for text in service.entries().values()] == [False]
    assert vault.credentials(1, "enphase") == {}
    assert opened(path).credentials(2, "enphase") == {"password": "other"}


def test_a_file_of_an_earlier_version_moves_into_the_keyring_and_back(service: SecretService, path: Path) -> None:
    before = Vault(path, {})
    for account in (1, 2):
        before.keep_credentials(account, {"password": f"{SECRET}-{account}"})
    before.remember(2, {"refresh_token": SECRET})
    vault = opened(path)
    assert vault.settle() == 3
    assert SECRET not in path.read_text()
    assert vault.settle() == 0
    back = opened(path, to_file=True)
    assert back.credentials(1, "enphase") == {"password": f"{SECRET}-1"}
    assert back.settle() == 3
    assert service.entries() == {}
    assert Vault(path, {}).recall(2) == {"refresh_token": SECRET}


def test_a_locked_keyring_takes_nothing_and_the_file_does(service: SecretService, path: Path) -> None:
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    service.lock()
    vault.remember(1, {"refresh_token": "new"})
    assert vault.recall(1) == {"refresh_token": "new"}
    assert '"new"' in path.read_text()
    assert vault.standing().kind == "file"
    assert "it is locked" in vault.standing().words


def test_what_a_locked_keyring_holds_is_told_as_unavailable_and_comes_back(service: SecretService, path: Path) -> None:
    opened(path).keep_credentials(1, {"password": SECRET})
    service.lock()
    vault = opened(path)
    with pytest.raises(Unavailable, match=r"keyring, which cannot be used now \(it is locked\). Nothing was lost"):
        vault.credentials(1, "enphase")
    service.stop_daemon()
    service.start()
    assert vault.credentials(1, "enphase") == {"password": SECRET}


def test_what_was_read_once_outlives_the_keyring(service: SecretService, path: Path) -> None:
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    service.stop_daemon()
    assert vault.credentials(1, "enphase") == {"password": SECRET}


def test_tokens_that_rotate_while_the_keyring_is_gone_are_kept_and_move_later(
    service: SecretService, path: Path
) -> None:
    vault = opened(path)
    vault.remember(1, {"refresh_token": "first"})
    service.stop_daemon()
    vault.remember(1, {"refresh_token": "second"})
    assert opened(path).recall(1) == {"refresh_token": "second"}
    service.start()
    again = opened(path)
    assert again.settle() == 1
    assert "second" not in path.read_text()
    assert [("second" in text) for text in service.entries().values()] == [True]


def test_what_is_forgotten_while_the_keyring_is_gone_is_removed_from_it_later(
    service: SecretService, path: Path
) -> None:
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    service.stop_daemon()
    vault.forget(1)
    assert vault.standing().in_keyring + vault.standing().in_file == 0
    service.start()
    assert len(service.entries()) == 1
    opened(path).settle()
    assert service.entries() == {}


def test_what_a_user_deleted_from_the_keyring_is_no_longer_known(service: SecretService, path: Path) -> None:
    opened(path).keep_credentials(1, {"password": SECRET})
    service.remove_all()
    assert opened(path).credentials(1, "enphase") == {}


def test_a_copy_of_the_folder_takes_nothing_from_the_original(service: SecretService, path: Path) -> None:
    opened(path).remember(1, {"refresh_token": "first"})
    copy = path.parent.with_name("copy") / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    other = opened(copy)
    assert other.recall(1) == {"refresh_token": "first"}
    other.remember(1, {"refresh_token": "second"})
    other.forget(1)
    assert opened(path).recall(1) == {"refresh_token": "first"}


def test_threads_that_rotate_and_read_at_once_lose_nothing(service: SecretService, path: Path) -> None:
    vault = opened(path)
    wrong: list[dict[str, str]] = []
    vault.remember(9, {"refresh_token": "x"})

    def rotate(account: int) -> None:
        for k in range(6):
            vault.remember(account, {"refresh_token": f"{account}-{k}"})

    def read() -> None:
        while any(t.is_alive() for t in rotating):
            if opened(path).recall(9) != {"refresh_token": "x"}:
                wrong.append({})

    rotating = [threading.Thread(target=rotate, args=(account,)) for account in (1, 2, 3)]
    reader = threading.Thread(target=read)
    for thread in (*rotating, reader):
        thread.start()
    for thread in (*rotating, reader):
        thread.join(60)
    assert wrong == []
    again = opened(path)
    assert [again.recall(a) for a in (1, 2, 3)] == [{"refresh_token": f"{a}-5"} for a in (1, 2, 3)]
    assert len(service.entries()) == 4


# -- no keyring ------------------------------------------------------------------------------------------------------


def test_without_a_bus_the_file_takes_everything_and_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    vault = opened(path)
    vault.keep_credentials(1, {"password": SECRET})
    assert Vault(path, {}).credentials(1, "enphase") == {"password": SECRET}
    standing = vault.standing()
    assert (standing.kind, standing.in_file) == ("file", 1)
    assert "a file that only you can read" in standing.words
    assert "there is none here" in standing.words


def test_a_bus_that_hangs_is_waited_for_once(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "bus"))
        deaf.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
        vault = Vault(path, {}, Keychain(patience_s=0.5))
        began = time.monotonic()
        for k in range(20):
            vault.remember(1, {"refresh_token": f"{SECRET}-{k}"})
        assert time.monotonic() - began < 5
        assert vault.recall(1) == {"refresh_token": f"{SECRET}-19"}
        assert "it does not answer" in vault.standing().words


def test_a_keyring_that_hangs_is_waited_for_once_and_used_again_when_it_answers(
    service: SecretService, path: Path
) -> None:
    vault = Vault(path, {}, Keychain(patience_s=0.5, hold_s=0))
    vault.keep_credentials(1, {"password": SECRET})
    service.hang()
    began = time.monotonic()
    for k in range(20):
        vault.remember(1, {"refresh_token": f"{SECRET}-{k}"})
    assert time.monotonic() - began < 5
    assert "it does not answer" in vault.standing().words
    service.stop_daemon()
    service.start()
    deadline = time.monotonic() + 30
    while vault.settle() == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert SECRET not in path.read_text()
    assert opened(path).recall(1) == {"refresh_token": f"{SECRET}-19"}


def test_a_keyring_that_refused_is_left_alone_for_a_while() -> None:
    asked = []

    def refuse() -> keychain.Backend:
        asked.append(1)
        raise OSError("no")

    chain = Keychain(Kind("a keyring", refuse, 100), hold_s=600)
    for _ in range(3):
        with pytest.raises(KeychainUnavailable, match="there is none here"):
            chain.recall("x", 1)
    assert len(asked) == 1


# -- other platforms -------------------------------------------------------------------------------------------------


class Shelf:
    """What Windows' Credential Manager takes: entries of 2,560 bytes, as UTF-16."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def get_password(self, service: str, username: str, /) -> str | None:
        return self.entries.get(service)

    def set_password(self, service: str, username: str, password: str, /) -> None:
        assert len(password.encode("utf-16-le")) <= 2560
        self.entries[service] = password

    def delete_password(self, service: str, username: str, /) -> None:
        del self.entries[service]


def test_a_long_token_is_split_as_windows_needs_it_and_its_pieces_go_together(path: Path) -> None:
    shelf = Shelf()
    kind = Kind("a keyring", lambda: shelf, keychain.KINDS["win32"].most)
    vault = Vault(path, {}, Keychain(kind))
    long = {"access_token": "é🌞x" * 1000}
    vault.remember(1, long)
    assert len(shelf.entries) > 5
    assert Vault(path, {}, Keychain(kind)).recall(1) == long
    vault.remember(1, {"access_token": "short"})
    assert len(shelf.entries) == 1


def test_what_is_longer_than_the_keyring_takes_stays_in_the_file(path: Path) -> None:
    shelf = Shelf()
    vault = Vault(path, {}, Keychain(Kind("a keyring", lambda: shelf, 1_200)))
    vault.remember(1, {"access_token": "x" * 50_000})
    assert shelf.entries == {}
    assert vault.recall(1) == {"access_token": "x" * 50_000}


def test_a_keyring_that_gives_back_something_else_is_not_trusted(path: Path) -> None:
    class Forgetful(Shelf):
        def set_password(self, service: str, username: str, password: str, /) -> None:
            self.entries[service] = password[:-2]

    vault = Vault(path, {}, Keychain(Kind("a keyring", Forgetful, 1_200)))
    vault.remember(1, {"access_token": SECRET})
    assert SECRET in path.read_text()


@pytest.mark.parametrize(
    ("platform", "name"), [("darwin", "macOS"), ("win32", "Credential Manager"), ("linux", "Secret Service")]
)
def test_each_platform_has_its_own_keyring(platform: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keychain.sys, "platform", platform)
    assert name in Keychain().name
