"""What lets people in, as the operator has set it up; the environment holds only hashes of it."""

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

log = logging.getLogger("webapp")

LINK, PASSWORD, NONE, CLOSED = "link", "password", "none", "closed"
VARIABLES = ("JARVIS_LOGIN", "JARVIS_LOGIN_HASH", "JARVIS_LOGIN_USER")
LONGEST_SECRET = 1024
KEY_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Credential:
    """How one signs in (`link`, `password`, `none`, `closed`), and what a key or password must hash to."""

    login: str = CLOSED
    hash: str = ""
    user: str = ""

    @property
    def mark(self) -> str:
        """Another one as soon as anything of it changes: what was signed in before is not any more."""
        return hashlib.sha256("\0".join((self.login, self.user, self.hash)).encode()).hexdigest()

    def is_key(self, key: str) -> bool:
        given = f"sha256:{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()}"
        return self.login == LINK and hmac.compare_digest(given, self.hash)

    def is_password(self, user: str, password: str) -> bool:
        """Takes some hundredths of a second, which is what makes guessing dear."""
        # Only here: a workspace with a link needs none of it.
        from argon2 import PasswordHasher  # noqa: PLC0415
        from argon2.exceptions import VerificationError  # noqa: PLC0415

        if self.login != PASSWORD or len(password) > LONGEST_SECRET:
            return False
        try:
            PasswordHasher().verify(self.hash, password)
        except VerificationError:
            return False
        return hmac.compare_digest(_folded(user), _folded(self.user))


def read_credential(environ: Mapping[str, str]) -> Credential:
    """The Credential that JARVIS_LOGIN, _HASH and _USER describe; a closed one where they make no sense.

    In a container the entrypoint has taken them out of the environment, into what JARVIS_LOGIN_FD reads.
    """
    given = {name: environ.get(name, "").strip() for name in VARIABLES}
    if descriptor := environ.get("JARVIS_LOGIN_FD"):
        given = _handed_over(int(descriptor))
    found = Credential(*(given[name] for name in VARIABLES))
    if fault := _fault(found):
        log.error("Nobody can sign in: %s", fault)
        return Credential()
    return found


def _handed_over(descriptor: int) -> dict[str, str]:
    """What came with the process; nothing that is started from here inherits it."""
    with open(descriptor, encoding="utf-8") as pipe:
        lines = [line.strip() for line in pipe]
    return (
        dict(zip(VARIABLES, lines, strict=False))
        if len(lines) == len(VARIABLES)
        else dict.fromkeys(VARIABLES, "")
    )


def _fault(found: Credential) -> str:
    if found.login == NONE:
        return ""
    if found.login not in {LINK, PASSWORD}:
        return f"JARVIS_LOGIN is {found.login!r}; it must be link, password or none"
    if found.login == LINK and not KEY_HASH.fullmatch(found.hash):
        return "JARVIS_LOGIN_HASH must be sha256: and 64 hexadecimal digits"
    if found.login == PASSWORD and not (found.hash.startswith("$argon2id$") and found.user):
        return "JARVIS_LOGIN_HASH must be an argon2id hash, and JARVIS_LOGIN_USER a name"
    return ""


def _folded(user: str) -> bytes:
    """Phones begin a name with a capital and end it with a space."""
    return user.strip().casefold().encode("utf-8", "replace")
