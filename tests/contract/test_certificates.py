"""Host names of a user's own: asked for, checked, given up; nothing is claimed to be issued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.contract.conftest import AppUnderTest, Asker

NAME = "workspace.example.com"


def test_a_certificate_that_was_asked_for_waits_and_says_for_what(app: AppUnderTest, ask: Asker) -> None:
    path = f"{app.path}/certificates"
    made = ask.json("POST", f"{path}/acme", {"hostname": NAME.upper()}, code=201)
    assert (made["hostname"], made["acme_requested"], made["configured"]) == (NAME, True, False)
    assert made["dns_requirements"]["acme_challenge"]["name"] == f"_acme-challenge.{NAME}"
    assert ask.json("GET", f"{path}/{NAME}") == made
    assert ask.json("POST", f"{path}/{NAME}/check")["dns_records"]["resolved_addresses"] == []
    listed = ask.json("GET", path)
    assert ([one["hostname"] for one in listed["certificates"]], listed["total_count"]) == ([NAME], 1)
    assert ask.json("DELETE", f"{path}/{NAME}/acme")["acme_requested"] is False
    assert ask("DELETE", f"{path}/{NAME}").status_code == 204
    assert ask.refusal(404, "GET", f"{path}/{NAME}") == "certificate not found"


def test_certificates_are_listed_page_by_page(app: AppUnderTest, ask: Asker) -> None:
    path, names = f"{app.path}/certificates", [f"{letter}.example.com" for letter in "abc"]
    for name in names:
        ask.json("POST", f"{path}/acme", {"hostname": name}, code=201)
    first = ask.json("GET", f"{path}?limit=2")
    rest = ask.json("GET", f"{path}?limit=2&cursor={first['next_cursor']}")
    assert [one["hostname"] for one in first["certificates"] + rest["certificates"]] == names
    assert (rest["next_cursor"], ask.json("GET", f"{path}?filter=b.ex")["total_count"]) == ("", 1)


def test_a_certificate_of_ones_own_must_fit_its_key(app: AppUnderTest, ask: Asker) -> None:
    path = f"{app.path}/certificates"
    (chain, key), (_, other) = pair(), pair()
    ours = {"hostname": NAME, "fullchain": chain}
    assert "in PEM" in ask.refusal(422, "POST", f"{path}/custom", ours | {"private_key": other})
    made = ask.json("POST", f"{path}/custom", ours | {"private_key": key}, code=201)
    assert [one["source"] for one in made["certificates"]] == ["custom"]
    assert ask.json("GET", path)["certificates"][0]["has_custom_certificate"] is True
    assert ask.json("DELETE", f"{path}/{NAME}/custom")["certificates"] == []


@pytest.mark.parametrize(
    "name", ["", "localhost", "under_score.com", "-a.com", "a..com", "a" * 64 + ".com", "ü.com"]
)
def test_what_is_no_domain_name_is_refused(app: AppUnderTest, ask: Asker, name: str) -> None:
    assert "domain name" in ask.refusal(422, "POST", f"{app.path}/certificates/acme", {"hostname": name})


def pair() -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    made = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
