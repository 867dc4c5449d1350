"""The embedded platform with a certificate of its own."""

from __future__ import annotations

from pathlib import Path

from fly.page import trouble_at
from tests.support.door import certificate_pem
from tests.support.platform import running_platform
from tests.support.run import Run

HOST = "somebody.localhost"


def test_with_a_certificate_the_door_speaks_https_to_those_who_trust_it(run: Run, tmp_path: Path) -> None:
    public, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, content in zip((public, secret), certificate_pem(HOST), strict=True):
        path.write_bytes(content)
    options = ("--certificate", str(public), "--key", str(secret))
    with running_platform(tmp_path / "state", run, *options) as platform:
        door = platform.about["door_url"]
        assert door.startswith("https://")
        url = f"https://{HOST}:{door.rpartition(':')[2]}"
        assert trouble_at(url, door, public) == "404 Not Found"
        assert "certificate verify failed" in trouble_at(url, door).lower()
