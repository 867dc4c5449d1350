"""Certificates for host names of a user's own: kept and answered for, though nothing here is ever issued.

This platform asks no certificate authority and no name server. A host name stays `Awaiting configuration`,
and the requirements that are told are those that would have to be met.
"""

import hashlib
import re
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fly.local.refusal import missing, unprocessable
from fly.local.state import App, Certificate, State, now

HOSTNAME = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")
AWAITING = "Awaiting configuration"
View = dict[str, Any]


class Certificates:
    """*Errors*: Refusal 404 for a host name that the app has not, 422 for what is none."""

    def __init__(self, state: State) -> None:
        self._state = state

    def of(self, app: App) -> list[Certificate]:
        mine = [one for one in self._state.certificates.values() if one.app == app.name]
        return sorted(mine, key=lambda one: one.hostname)

    def found(self, app: App, hostname: str) -> Certificate:
        certificate = self._state.certificates.get(_id(app, hostname))
        if certificate is None:
            raise missing("certificate")
        return certificate

    def request(self, app: App, hostname: str) -> Certificate:
        """Asks for one to be issued; that waits for the name to point here, and so for good."""
        return self._change(self._known(app, hostname), acme=True)

    def import_(self, app: App, request: Mapping[str, Any]) -> Certificate:
        """A certificate of the user's own: checked against its key, of which nothing is kept."""
        chain, key = request.get("fullchain", ""), request.get("private_key", "")
        if not _is_pair(chain, key):
            raise unprocessable("fullchain and private_key must be a certificate and its key, in PEM")
        return self._change(self._known(app, request.get("hostname", "")), custom=True)

    def drop_acme(self, app: App, hostname: str) -> Certificate:
        return self._change(self.found(app, hostname), acme=False)

    def drop_custom(self, app: App, hostname: str) -> Certificate:
        return self._change(self.found(app, hostname), custom=False)

    def delete(self, app: App, hostname: str) -> None:
        self._state.drop(self.found(app, hostname))

    def _known(self, app: App, hostname: str) -> Certificate:
        name = hostname.lower()
        if len(name) > 253 or not HOSTNAME.fullmatch(name):
            raise unprocessable("Hostname must be a domain name")
        made = now()
        return self._state.certificates.get(_id(app, name)) or Certificate(
            id=_id(app, name), app=app.name, hostname=name, created_at=made, updated_at=made
        )

    def _change(self, certificate: Certificate, **changes: bool) -> Certificate:
        return self._state.change(certificate, updated_at=now(), **changes)


def _id(app: App, hostname: str) -> str:
    return f"{app.name}/{hostname.lower()}"


def _is_pair(chain: str, key: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.touch(mode=0o600)
        path.write_text(f"{chain}\n{key}\n", encoding="utf-8")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=lambda: "")
        except (OSError, ValueError):
            return False
    return True


# -- how they look to a client


def summary(record: Certificate) -> View:
    return {
        "hostname": record.hostname,
        "status": AWAITING,
        "configured": False,
        "acme_requested": record.acme,
        "acme_alpn_configured": False,
        "acme_dns_configured": False,
        "acme_http_configured": False,
        "ownership_txt_configured": False,
        "has_custom_certificate": record.custom,
        "has_fly_certificate": record.acme,
        "dns_provider": "",
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def detail(record: Certificate) -> View:
    validation = dict.fromkeys(
        ("alpn_configured", "dns_configured", "http_configured", "ownership_txt_configured"), False
    )
    sources = [source for source, there in (("fly", record.acme), ("custom", record.custom)) if there]
    return {
        "hostname": record.hostname,
        "status": AWAITING,
        "configured": False,
        "acme_requested": record.acme,
        "dns_provider": "",
        "certificates": [
            {"source": source, "status": "pending_ownership", "created_at": record.created_at, "issued": []}
            for source in sources
        ],
        "dns_requirements": _requirements(record),
        "validation": validation,
        "validation_errors": [],
    }


def checked(record: Certificate) -> View:
    """*Shape*: `detail`, and what the name servers say: nothing, as none is asked."""
    empty: View = {"a": [], "aaaa": [], "cname": [], "resolved_addresses": [], "soa": ""}
    return detail(record) | {"dns_records": empty | {"acme_challenge_cname": "", "ownership_txt": ""}}


def _requirements(record: Certificate) -> View:
    bare = record.hostname.removeprefix("*.")
    mark = hashlib.sha256(record.id.encode()).hexdigest()[:12]
    return {
        "a": [],
        "aaaa": [],
        "cname": f"{mark}.{record.app}.localhost",
        "acme_challenge": {"name": f"_acme-challenge.{bare}", "target": f"{bare}.{mark}.localhost"},
        "ownership": {"name": f"_fly-ownership.{bare}", "app_value": f"app-{mark}", "org_value": ""},
    }
