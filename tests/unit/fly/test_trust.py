"""Whom connections believe: nobody where no TLS is spoken, everybody's authorities else."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from fly.trust import trust
from tests.support.door import certificate_pem


def test_where_no_tls_is_spoken_no_authority_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: pytest.fail("read in vain"))
    assert trust("http://127.0.0.1:4280").cert_store_stats()["x509"] == 0


def test_all_authorities_are_read_once() -> None:
    assert trust("https://a.fly.dev") is trust("https://b.fly.dev")
    assert trust("https://a.fly.dev").cert_store_stats()["x509"] > 0


def test_names_and_certificates_are_checked_always(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(certificate_pem("here.test")[0])
    for context in (trust("https://a.fly.dev"), trust("https://a.fly.dev", own), trust("http://a.fly.dev")):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_certificate_of_ones_own_is_believed_besides(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(certificate_pem("here.test")[0])
    known = trust("https://a.fly.dev").cert_store_stats()["x509"]
    assert trust("https://a.fly.dev", own).cert_store_stats()["x509"] == known + 1
