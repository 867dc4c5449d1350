"""What the operator's environment says, and which platform that means."""

import json
import pickle
from pathlib import Path

import pytest

from fly.errors import SettingsError
from fly.settings import VARIABLES, Secret, Settings, choose_platform

TOKEN = "fm2_very-secret"
ROOT = Path("/checkout")


def embedded(home: Path, **changed: object) -> Settings:
    """Settings of a home in which the embedded platform has said where it is."""
    facts = {
        "api_url": "http://127.0.0.1:4999",
        "door_url": "http://127.0.0.1:8999",
        "token": TOKEN,
        "state_dir": str(home / "platform"),
        "pid": 42,
    }
    (home / "platform").mkdir()
    (home / "platform" / "platform.json").write_text(json.dumps(facts | changed), encoding="utf-8")
    return Settings.read({"JARVIS_HOME": str(home)}, ROOT)


def test_an_empty_environment_has_defaults_for_everything() -> None:
    settings = Settings.read({}, ROOT)
    assert settings.home == ROOT / ".jarvis"
    assert settings.ledger == ROOT / ".jarvis/ledger.sqlite"
    assert (settings.org, settings.region, settings.api_port, settings.door_port) == (
        "personal", "iad", 4280, 8080,
    )  # fmt: skip
    assert settings.api_url == "https://api.machines.dev"
    assert (settings.user_name, settings.user_email) == ("Lilach", "lilach@example.com")
    assert not settings.token


def test_every_variable_that_is_promised_is_read(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for file in (certificate, key):
        file.touch()
    given = {
        "FLY_API_TOKEN": TOKEN,
        "FLY_ORG": "acme",
        "FLY_FLAPS_BASE_URL": "http://flaps.test",
        "FLY_API_BASE_URL": "http://api.test/",
        "JARVIS_HOME": "state",
        "JARVIS_IMAGE": "image@sha256:1",
        "JARVIS_REGISTRY": "127.0.0.1:5000/workspaces",
        "JARVIS_REGISTRY_USER": "dan",
        "JARVIS_REGISTRY_PASSWORD": " a space counts ",
        "JARVIS_REGION": "fra",
        "JARVIS_API_PORT": "1",
        "JARVIS_DOOR_PORT": "2",
        "JARVIS_DOOR_CERTIFICATE": str(certificate),
        "JARVIS_DOOR_KEY": str(key),
        "JARVIS_MAX_AWAKE_HOURS": "0.5",
        "JARVIS_USER": "Dan <dan@example.com>",
        "JARVIS_SMTP_URL": "smtps://dan:hush@mail.test",
        "JARVIS_MAIL_FROM": "Dan <dan@example.com>",
        "JARVIS_BACKUP_REPOSITORY": "s3:https://s3.test/bucket/folder",
        "JARVIS_BACKUP_PASSWORD": " so does this one",
        "JARVIS_BACKUP_KEY_ID": "key",
        "JARVIS_BACKUP_SECRET_KEY": "hush",
        "JARVIS_BACKUP_KEEP": "daily=3, yearly=2",
        "JARVIS_ALERT_MAIL": "night@example.com",
        "JARVIS_INVOICE_FROM": "My Jarvis Ltd; 1 Main Street",
        "JARVIS_INVOICE_PAY": "IBAN DE00",
        "JARVIS_INVOICE_TAX": "Sales tax 8.25 %",
        "JARVIS_INVOICE_DAYS": "30",
    }
    assert set(given) == set(VARIABLES)
    settings = Settings.read(given, ROOT)
    assert (settings.invoice_from, settings.invoice_pay) == (
        ("My Jarvis Ltd", "1 Main Street"),
        ("IBAN DE00",),
    )
    assert (settings.tax_name, settings.tax_percent, settings.invoice_days) == ("Sales tax", "8.25", 30)
    assert settings.token == Secret(TOKEN)
    assert settings.smtp_url == Secret("smtps://dan:hush@mail.test")
    assert settings.mail_from == "Dan <dan@example.com>"
    assert settings.alert_address == "night@example.com"
    assert (settings.org, settings.api_url, settings.logs_url) == (
        "acme",
        "http://flaps.test",
        "http://api.test",
    )
    assert (settings.home, settings.image, settings.region) == (ROOT / "state", "image@sha256:1", "fra")
    assert (settings.api_port, settings.door_port) == (1, 2)
    assert (settings.door_certificate, settings.door_key) == (certificate, key)
    assert settings.max_awake_s == 1800
    assert (settings.user_name, settings.user_email) == ("Dan", "dan@example.com")
    assert (settings.registry, settings.registry_user) == ("127.0.0.1:5000/workspaces", "dan")
    assert settings.registry_password == Secret(" a space counts ")
    assert (settings.backup_repository, settings.backup_key_id) == ("s3:https://s3.test/bucket/folder", "key")
    assert settings.backup_password == Secret(" so does this one")
    assert settings.backup_secret_key == Secret("hush")
    assert settings.backup_keep == {"daily": 3, "yearly": 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JARVIS_API_PORT", "http"),
        ("JARVIS_API_PORT", "0"),
        ("JARVIS_DOOR_PORT", "65536"),
        ("JARVIS_DOOR_PORT", "-1"),
        ("JARVIS_DOOR_PORT", "٣"),
        ("FLY_FLAPS_BASE_URL", "api.machines.dev"),
        ("FLY_FLAPS_BASE_URL", "ftp://api.machines.dev"),
        ("FLY_API_BASE_URL", "http://[broken"),
        ("FLY_API_BASE_URL", "http://host:port"),
        ("FLY_API_TOKEN", "two\nlines"),
        ("FLY_API_TOKEN", "schlüssel"),
        ("JARVIS_DOOR_CERTIFICATE", "/no/such/file.pem"),
        ("JARVIS_MAX_AWAKE_HOURS", "0"),
        ("JARVIS_MAX_AWAKE_HOURS", "12h"),
        ("JARVIS_MAX_AWAKE_HOURS", "inf"),
        ("JARVIS_USER", "Lilach"),
        ("JARVIS_BACKUP_REPOSITORY", "sftp:host:/folder"),
        ("JARVIS_BACKUP_REPOSITORY", "s3:https://key:hush@s3.test/bucket"),
        ("JARVIS_BACKUP_KEEP", "forever=1"),
        ("JARVIS_BACKUP_KEEP", "daily=0"),
    ],
)
def test_a_malformed_variable_is_named_with_what_it_should_hold(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.read({name: value}, ROOT)
    assert caught.value.hint
    assert name != "FLY_API_TOKEN" or value not in str(caught.value)


def test_an_address_alone_names_its_person() -> None:
    assert Settings.read({"JARVIS_USER": "dan@example.com"}, ROOT).user_name == "dan"


def test_a_secret_shows_in_no_text() -> None:
    secret = Secret(TOKEN)
    settings = Settings.read({"FLY_API_TOKEN": TOKEN}, ROOT)
    shown = f"{secret} {secret!r} {secret!s:>20} {settings!r} {choose_platform(settings)!r} {[secret]}"
    assert TOKEN not in shown
    assert secret.reveal() == TOKEN
    assert "_text" not in str(vars(Secret).get("__dict__", ""))


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")


# --- which platform -------------------------------------------------------------------------------


def test_with_a_token_the_platform_is_fly() -> None:
    platform = choose_platform(Settings.read({"FLY_API_TOKEN": TOKEN, "FLY_ORG": "acme"}, ROOT))
    assert (platform.kind, platform.key, platform.door_url) == ("fly", "fly/acme", "")
    assert platform.label == "Platform: Fly (organisation acme)"
    assert platform.url_of("x-myjarvis-1") == "https://x-myjarvis-1.fly.dev"


def test_without_a_token_it_is_the_embedded_one(tmp_path: Path) -> None:
    platform = choose_platform(embedded(tmp_path))
    assert (platform.kind, platform.key, platform.pid) == ("local", "local", 42)
    assert platform.token == Secret(TOKEN)
    assert platform.label == "Platform: embedded (127.0.0.1:4999)"
    assert platform.url_of("x-myjarvis-1") == "http://x-myjarvis-1.localhost:8999"
    assert platform.logs_url == platform.api_url


def test_the_flag_decides_against_the_token(tmp_path: Path) -> None:
    embedded(tmp_path)
    settings = Settings.read({"JARVIS_HOME": str(tmp_path), "FLY_API_TOKEN": TOKEN}, ROOT)
    assert choose_platform(settings, "local").kind == "local"
    assert choose_platform(settings, "fly").kind == "fly"


def test_fly_without_a_token_says_how_to_get_one() -> None:
    with pytest.raises(SettingsError, match="FLY_API_TOKEN") as caught:
        choose_platform(Settings.read({}, ROOT), "fly")
    assert "fly tokens create org" in caught.value.hint


def test_another_flag_is_refused() -> None:
    with pytest.raises(SettingsError, match="aws"):
        choose_platform(Settings.read({}, ROOT), "aws")


def test_an_embedded_platform_that_does_not_run_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not run") as caught:
        choose_platform(Settings.read({"JARVIS_HOME": str(tmp_path)}, ROOT), "local")
    assert "invoke up" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"api_url": 1}', "null"])
def test_what_the_embedded_platform_says_must_make_sense(tmp_path: Path, text: str) -> None:
    settings = embedded(tmp_path)
    (tmp_path / "platform/platform.json").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError):
        choose_platform(settings)


def test_an_address_of_the_embedded_platform_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="door_url"):
        choose_platform(embedded(tmp_path, door_url="8080"))
