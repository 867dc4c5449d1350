"""Whom a connection believes that its other end is who it says it is."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fly.lazy import Lazy

if TYPE_CHECKING:
    import httpx
else:
    httpx = Lazy("httpx")


def trust(url: str, certificate: Path | None = None) -> ssl.SSLContext:
    """Whom everybody believes and, if given, who proves himself with this certificate; for `verify`.

    To read all authorities takes tens of milliseconds: it is done once, and not at all where `url` speaks no
    TLS. A certificate is read each time, since it may have been renewed.
    """
    if not url.startswith("https:"):
        return _nobody()
    if certificate is None:
        return _everybody()
    trusted = httpx.create_ssl_context()
    trusted.load_verify_locations(cafile=certificate)
    # A local certificate's authority need not be known here: the certificate itself is.
    trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return trusted


@cache
def _nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _everybody() -> ssl.SSLContext:
    return httpx.create_ssl_context()
