"""Settings: what wins over what, and what is refused in one sentence that gives no secret away."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sungaze.config import Settings, default_data_dir, load, read_dotenv, vendor_credentials
from sungaze.errors import ConfigError

SECRET = "hunter2-is-my-password"
TOKEN = "0123456789abcdef"
LONG = TOKEN * 2


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, which may hold a .env of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def dotenv(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


# -- what wins -------------------------------------------------------------------------------------------------------


def test_without_any_setting_it_listens_on_loopback_on_a_free_port(data: Path) -> None:
    settings = load(environ={}, data_dir=data)
    assert (settings.host, settings.port, settings.token, settings.log) == ("127.0.0.1", 0, None, "info")


def test_an_option_wins_over_the_environment_over_the_working_folder_over_the_data_folder(
    work: Path, data: Path
) -> None:
    dotenv(data, "SUNGAZE_PORT=1\nSUNGAZE_LOG=error\nSUNGAZE_ENPHASE_KEY=data\n")
    assert load(environ={}, data_dir=data).port == 1
    dotenv(work, "SUNGAZE_PORT=2\nSUNGAZE_ENPHASE_KEY=work\n")
    assert load(environ={}, data_dir=data).port == 2
    assert load(environ={"SUNGAZE_PORT": "3"}, data_dir=data).port == 3
    settings = load(environ={"SUNGAZE_PORT": "3"}, data_dir=data, port=0)
    assert (settings.port, settings.log) == (0, "error")
    assert settings.environment["SUNGAZE_ENPHASE_KEY"] == "work"


def test_an_option_for_the_host_wins(data: Path) -> None:
    environ = {"SUNGAZE_HOST": "127.0.0.1", "SUNGAZE_TOKEN": LONG}
    assert load(environ=environ, data_dir=data, host="0.0.0.0").host == "0.0.0.0"


def test_the_data_folder_may_be_named_by_the_environment_or_by_dotenv(work: Path, tmp_path: Path) -> None:
    dotenv(work, f"SUNGAZE_DATA_DIR={tmp_path / 'one'}\n")
    assert load(environ={}).data_dir == tmp_path / "one"
    assert load(environ={"SUNGAZE_DATA_DIR": "two"}).data_dir == work / "two"


def test_what_lies_in_the_data_folder_follows_from_it(data: Path) -> None:
    settings = load(environ={}, data_dir=data)
    names = [p.name for p in (settings.database, settings.queue, settings.secrets, settings.lock)]
    assert names == ["sungaze.db", "queue.db", "secrets.json", "lock"]


def test_only_our_own_settings_are_kept(data: Path) -> None:
    settings = load(environ={"HOME": "/nowhere", "AWS_SECRET": SECRET, "SUNGAZE_ENPHASE_KEY": "k"}, data_dir=data)
    assert settings.environment == {"SUNGAZE_ENPHASE_KEY": "k"}


# -- the demo --------------------------------------------------------------------------------------------------------


def test_the_demo_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = [default_data_dir(demo) for demo in (False, True)]
    assert [f.name for f in folders] == ["sungaze", "sungaze-demo"]
    assert folders[0].parent == folders[1].parent


def test_the_demo_does_not_take_the_folder_that_the_environment_names_for_the_users_data(tmp_path: Path) -> None:
    environ = {"SUNGAZE_DATA_DIR": str(tmp_path / "solar")}
    assert load(environ=environ, demo=True).data_dir == tmp_path / "solar-demo"
    assert load(environ=environ, demo=True, data_dir=tmp_path / "here").data_dir == tmp_path / "here"


def test_the_demo_has_none_of_the_users_credentials(work: Path, data: Path) -> None:
    dotenv(work, f"SUNGAZE_ENPHASE_PASSWORD={SECRET}\n")
    assert load(environ={"SUNGAZE_SOLAREDGE_KEY": SECRET}, data_dir=data, demo=True).environment == {}


# -- .env ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"A=1\n{SECRET} and more\n", 2),
        (f"A=1\n\n\n\n{SECRET} and more\nB=2\n", 5),
        (f"# a comment\n  \n'{SECRET}\n", 3),
        (f"\r\n\r\nA 1={SECRET}\r\n", 3),
        (f'SUNGAZE_TOKEN="{SECRET}\n', 1),
        (f"SUNGAZE_TOKEN=\n{SECRET}\n", 2),  # the value slipped on to a line of its own
        (f"={SECRET}\n", 1),
    ],
)
def test_a_broken_line_is_named_and_never_shown(data: Path, text: str, line: int) -> None:
    path = dotenv(data, text)
    with pytest.raises(ConfigError, match=rf"^Line {line} of .* is not NAME=value") as raised:
        load(environ={}, data_dir=data)
    assert str(path) in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("P=abc", "abc"),
        ("export P=abc", "abc"),
        ("P = abc # a remark", "abc"),
        ("P='a b # c'", "a b # c"),
        ('P="a\\"b"', 'a"b'),
        ("P=", ""),
        ("P='a${HOME}b$c'", "a${HOME}b$c"),  # a password, not a template
        ("P=a${HOME}b", "a${HOME}b"),
        ("\ufeffP=abc", "abc"),  # as Notepad saves it
        ("P=sommer-ü", "sommer-ü"),
    ],
)
def test_a_value_is_read_as_it_stands(data: Path, line: str, value: str) -> None:
    assert read_dotenv(dotenv(data, f"# first\nQ=1\n{line}\n" if line[0] != "\ufeff" else line))["P"] == value


def test_a_file_that_is_not_utf8_is_told_without_its_content(data: Path) -> None:
    (data / ".env").write_bytes(b"P=caf\xe9-" + SECRET.encode())
    with pytest.raises(ConfigError, match="not UTF-8") as raised:
        load(environ={}, data_dir=data)
    assert SECRET not in str(raised.value)


def test_no_file_or_a_folder_of_that_name_is_no_settings(data: Path) -> None:
    assert read_dotenv(data / ".env") == {}
    (data / ".env").mkdir()
    assert read_dotenv(data / ".env") == {}


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["-1", "65536", "http", "80.5", "1e3", "9" * 30])
def test_a_port_that_is_none_is_refused(data: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="not a number from 0 to 65535"):
        load(environ={"SUNGAZE_PORT": port}, data_dir=data)


@pytest.mark.parametrize("port", ["0", "65535", " 8080 "])
def test_a_port_may_be_any_that_there_is(data: Path, port: str) -> None:
    assert load(environ={"SUNGAZE_PORT": port}, data_dir=data).port == int(port)


def test_a_level_of_logging_that_is_none_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="debug, info, warning or error"):
        load(environ={"SUNGAZE_LOG": "loud"}, data_dir=data)


def test_a_home_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="names a user that is not there"):
        load(environ={"SUNGAZE_DATA_DIR": "~nobody-of-this-name/solar"})


LOOPBACKS = ("127.0.0.1", "::1", "localhost")


@pytest.mark.parametrize(
    ("host", "token", "starts"),
    [
        *[(host, None, True) for host in LOOPBACKS],
        *[(host, TOKEN, True) for host in LOOPBACKS],
        *[(host, TOKEN[:-1], False) for host in LOOPBACKS],
        ("127.0.0.1", "über-sechzehn-zeichen", False),
        ("0.0.0.0", None, False),
        ("0.0.0.0", TOKEN, False),
        ("0.0.0.0", LONG[:-1], False),
        ("0.0.0.0", LONG, True),
        ("::", LONG[:-1], False),
        ("192.168.1.5", LONG, True),
        ("example.org", None, False),
    ],
)
def test_beyond_loopback_a_token_of_32_characters_is_needed_and_of_16_on_it(
    data: Path, host: str, token: str | None, starts: bool
) -> None:
    environ = {"SUNGAZE_HOST": host} | ({"SUNGAZE_TOKEN": token} if token else {})
    if starts:
        assert load(environ=environ, data_dir=data).token == token
        return
    with pytest.raises(ConfigError, match="Nothing was started") as raised:
        load(environ=environ, data_dir=data)
    assert token is None or token not in str(raised.value)


def test_an_empty_token_is_none(data: Path) -> None:
    assert load(environ={"SUNGAZE_TOKEN": ""}, data_dir=data).token is None


# -- credentials -----------------------------------------------------------------------------------------------------


def test_a_vendors_credentials_are_found_by_their_fields() -> None:
    environment = {
        "SUNGAZE_ENPHASE_API_KEY": "k",
        "SUNGAZE_ENPHASE_CLIENT_ID": "c",
        "SUNGAZE_ENPHASE_PASSWORD": "",
        "SUNGAZE_ENPHASEX_API_KEY": "other",
        "SUNGAZE_TOKEN": TOKEN,
        "X_SUNGAZE_ENPHASE_API_KEY": "no",
    }
    assert vendor_credentials(environment, "enphase") == {"api_key": "k", "client_id": "c"}
    assert vendor_credentials(environment, "solaredge") == {}


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=10), max_size=5))
def test_no_environment_makes_credentials_raise(environment: dict[str, str]) -> None:
    assert vendor_credentials(environment, "enphase") is not None


def test_settings_do_not_change_once_read(data: Path) -> None:
    settings = Settings(data_dir=data)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc] # that it is refused is what is tested
