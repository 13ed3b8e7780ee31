"""Secrets that come from files: those that variables name, and those of a folder."""

import os
from pathlib import Path

import pytest

from connector.settings import Settings, load_settings, load_store_settings, unknown_variables
from tests.conftest import PAGE_A, PAGE_B, SECRET_A, SECRET_B, connection
from tests.connector.settings_file import MINIMUM, SettingsFile, assert_one_line

TOKEN = "CONNECTOR_HELPDESK__API_TOKEN"
TOKEN_FILE = f"{TOKEN}_FILE"
FOLDER = "CONNECTOR_SECRETS_DIR"
OF_PAGE_A = f"CONNECTIONS__{PAGE_A}__PAGE_ACCESS_TOKEN"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Give the path of a file for a secret; it is not written yet."""
    return tmp_path / "secret"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of secrets that is in use."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


def _token(settings: Settings) -> str:
    return settings.helpdesk.api_token.get_secret_value()


# --- Files that variables name. -------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_what_stands_in_the_file_without_the_line_break_at_its_end(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    secret.write_bytes(f" verify me {end}".encode())
    monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{PAGE_A}__VERIFY_TOKEN_FILE", str(secret))
    (page,) = file.load(connections=[connection(PAGE_A, SECRET_A)]).connections
    assert page.verify_token.get_secret_value() == " verify me "


def test_a_secret_of_a_page_may_come_from_a_file(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text("EAAfile\n")
    monkeypatch.setenv(f"CONNECTOR_{OF_PAGE_A}_FILE", str(secret))
    pages = [connection(PAGE_B, SECRET_B), connection(PAGE_A, SECRET_A)]
    tokens = [one.page_access_token.get_secret_value() for one in file.load(connections=pages).connections]
    assert tokens == [f"EAA{PAGE_B}", "EAAfile"]


def test_a_file_overrides_the_settings_file(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text("from a file\n")
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    assert _token(file.load()) == "from a file"


def test_the_address_of_the_store_may_come_from_a_file(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text("redis://:hush@store:6379/0\n")
    monkeypatch.setenv("CONNECTOR_REDIS_URL_FILE", str(secret))
    file.write("")
    assert load_store_settings().redis_url == "redis://:hush@store:6379/0"


def test_a_setting_that_is_a_path_itself_is_taken_as_it_is(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text("no path")
    monkeypatch.setenv("CONNECTOR_ATTACHMENTS__CLOUDFRONT__PRIVATE_KEY_FILE", str(secret))
    assert file.load().attachments.cloudfront.private_key_file == str(secret)


def test_an_option_of_an_adapter_is_taken_as_it_is_whatever_its_name(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_HELPDESK__OPTIONS__KEY_FILE", "/none")
    assert_one_line(file.faults(), "helpdesk.options: key_file: the adapter has no such option")


def test_a_file_is_read_anew_when_the_settings_are(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    secret.write_text("old")
    assert _token(file.load()) == "old"
    secret.write_text("new")
    assert _token(load_settings()) == "new"


def test_a_variable_beside_the_one_that_names_its_file_is_a_fault(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_text("one")
    monkeypatch.setenv(TOKEN, "another")
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    (fault,) = file.faults()
    assert fault == f"{TOKEN_FILE}: {TOKEN} sets the same key; keep one of the two"


def test_a_file_that_is_missing_is_one_line_with_the_remedy(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    assert file.faults() == [f"{TOKEN_FILE}: there is no file {secret}; correct the path, or take it away"]


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n"])
def test_a_file_that_is_empty_is_one_line_with_the_remedy(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    secret.write_text(text)
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    assert file.faults() == [f"{TOKEN_FILE}: {secret} is empty; write the value into it, or take it away"]


def test_a_file_that_cannot_be_read_is_one_line_with_the_remedy(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.mkdir()  # root may read any file, but no folder as one
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    (fault,) = file.faults()
    assert fault.startswith(f"{TOKEN_FILE}: {secret} cannot be read (Is a directory); make it a file that ")


def test_a_file_that_is_no_text_is_one_line_with_the_remedy(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret.write_bytes(b"\xff\xfe")
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    assert_one_line(file.faults(), f"{TOKEN_FILE}: {secret} is no text in UTF-8; save it as such")


@pytest.mark.parametrize("value", ["", "EAAhush", "whsec_hush"])
def test_a_secret_in_the_place_of_a_path_is_a_fault_that_does_not_show_it(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(TOKEN_FILE, value)
    assert file.faults() == [
        f"{TOKEN_FILE}: must be the whole path of a file, such as /run/secrets/api_token"
    ]


def test_each_file_that_cannot_be_used_has_its_line(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (TOKEN_FILE, "CONNECTOR_REDIS_URL_FILE", f"CONNECTOR_{OF_PAGE_A}_FILE"):
        monkeypatch.setenv(name, str(secret))
    assert len(file.faults(connections=[connection(PAGE_A, SECRET_A)])) == 3


def test_what_leads_to_the_store_needs_no_other_secrets(
    file: SettingsFile, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_FILE, str(secret))
    monkeypatch.setenv("CONNECTOR_CONNECTIONS__0__APP_SECRET", SECRET_A)
    file.write("")
    assert load_store_settings().redis_url == ""


# --- The folder of secrets. -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{OF_PAGE_A}", f"{OF_PAGE_A}".lower()])
def test_a_file_of_the_folder_gives_the_setting_that_it_is_named_for(
    file: SettingsFile, folder: Path, name: str
) -> None:
    (folder / name).write_text("EAAfolder\n")
    (folder / "HELPDESK__API_TOKEN").write_text("from the folder\n")
    settings = file.load(connections=[connection(PAGE_A, SECRET_A)])
    assert settings.connections[0].page_access_token.get_secret_value() == "EAAfolder"
    assert _token(settings) == "from the folder"


def test_a_secret_may_be_missing_in_the_settings_file_that_the_folder_has(
    file: SettingsFile, folder: Path
) -> None:
    (folder / "HELPDESK__API_TOKEN").write_text("from the folder")
    helpdesk = {key: value for key, value in MINIMUM["helpdesk"].items() if key != "api_token"}
    assert _token(file.load(helpdesk=helpdesk)) == "from the folder"


def test_a_folder_as_kubernetes_mounts_it_is_read(file: SettingsFile, folder: Path) -> None:
    (folder / "..2026_11_28").mkdir()
    (folder / "..data").symlink_to("..2026_11_28")
    (folder / "..data" / "HELPDESK__API_TOKEN").write_text("mounted")
    (folder / "HELPDESK__API_TOKEN").symlink_to("..data/HELPDESK__API_TOKEN")
    assert _token(file.load()) == "mounted"
    assert unknown_variables() == []


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_a_file_of_the_folder_beside_a_variable_for_the_same_setting_is_a_fault(
    file: SettingsFile, folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    (folder / "HELPDESK__API_TOKEN").write_text("one")
    monkeypatch.setenv(TOKEN + suffix, str(folder / "HELPDESK__API_TOKEN"))
    assert file.faults() == [
        f"{FOLDER}/HELPDESK__API_TOKEN: {TOKEN}{suffix} sets the same key; keep one of the two"
    ]


def test_a_faulty_file_of_the_folder_is_one_line_that_names_it(file: SettingsFile, folder: Path) -> None:
    path = folder / "HELPDESK__API_TOKEN"
    path.write_text("\n")
    (fault,) = file.faults()
    assert fault.startswith(f"{FOLDER}/HELPDESK__API_TOKEN: {path} is empty; write the value into it")


def test_a_file_of_the_folder_that_names_no_listed_page_is_a_fault(file: SettingsFile, folder: Path) -> None:
    (folder / OF_PAGE_A).write_text("EAAfolder")
    (fault,) = file.faults()
    assert fault.startswith(f"{FOLDER}/{OF_PAGE_A}: connections lists no page {PAGE_A}; correct the page id")


@pytest.mark.parametrize(("path", "remedy"), [("/none", "No such file"), (os.devnull, "Not a directory")])
def test_a_folder_that_cannot_be_read_is_one_line_with_the_remedy(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, path: str, remedy: str
) -> None:
    monkeypatch.setenv(FOLDER, path)
    (fault,) = file.faults()
    assert fault.startswith(f"{FOLDER}: {path} cannot be read ({remedy}")
    assert fault.endswith("; name the folder of secrets")


@pytest.mark.parametrize("path", ["", "secrets"])
def test_the_folder_is_named_by_its_whole_path(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv(FOLDER, path)
    assert file.faults() == [f"{FOLDER}: must be the whole path of a folder, such as /run/secrets"]


def test_a_file_of_the_folder_that_is_no_setting_is_pointed_out(file: SettingsFile, folder: Path) -> None:
    (folder / "CONNECTOR_HELPDESK__API_TOKEN").write_text("x")
    (folder / "HELPDESK__WEBHOOK_SECRET").write_text("x")
    assert unknown_variables() == [f"{FOLDER}/CONNECTOR_HELPDESK__API_TOKEN"]
