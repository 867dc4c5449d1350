"""What lets a user into her workspace: drawn here, kept in the ledger; her machine knows only its hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fly.errors import PlanError
from fly.lazy import Lazy
from fly.settings import Secret

if TYPE_CHECKING:
    import argon2
else:
    argon2 = Lazy("argon2")

LINK, PASSWORD, NONE = "link", "password", "none"
LOGINS = (LINK, PASSWORD, NONE)
KEY_BYTES = 24
SIGNS = "23456789abcdefghjkmnpqrstvwxyz"
"""Signs that nobody mistakes for one another."""
GROUPS, GROUP_LENGTH = 4, 5
"""A password of twenty signs: 98 bits, so that nobody guesses one, however many try."""

LOGIN_VARIABLE, HASH_VARIABLE, USER_VARIABLE = "JARVIS_LOGIN", "JARVIS_LOGIN_HASH", "JARVIS_LOGIN_USER"
OF_LOGIN = (LOGIN_VARIABLE, HASH_VARIABLE, USER_VARIABLE)
HOSTS_VARIABLE = "JARVIS_HOSTS"


@dataclass(frozen=True)
class Welcome:
    """How a user signs in. Without a `login` nobody can; a machine's own has no `secret`."""

    login: str = ""
    user: str = ""
    hash: str = ""
    secret: Secret = field(default=Secret(""), compare=False)

    @property
    def environment(self) -> dict[str, str]:
        """What the machine is told."""
        told = dict(zip(OF_LOGIN, (self.login, self.hash, self.user), strict=True))
        return {name: value for name, value in told.items() if value}

    def link(self, url: str) -> str:
        """The address to send: with its key where there is one. A browser keeps what follows # to itself."""
        return f"{url}/#key={self.secret.reveal()}" if self.login == LINK and self.secret else url

    def to_json(self, url: str) -> dict[str, str]:
        """What programs read where it is asked for: the secret stands in it."""
        shown = {"login": self.login, "link": self.link(url)}
        return shown | (
            {"user": self.user, "password": self.secret.reveal()} if self.login == PASSWORD else {}
        )


def draw(login: str, email: str) -> Welcome:
    """A new Welcome of this kind.

    *Errors*: PlanError.
    """
    if login == LINK:
        key = secrets.token_urlsafe(KEY_BYTES)
        return Welcome(LINK, "", f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", Secret(key))
    if login == PASSWORD:
        password = "-".join(_group() for _ in range(GROUPS))
        return Welcome(PASSWORD, email, _hashed(password), Secret(password))
    if login == NONE:
        return Welcome(NONE)
    raise PlanError(f"There is no way to sign in called {login!r}.", hint=f"--login {', '.join(LOGINS)}")


def of_environment(environment: Mapping[str, Any]) -> Welcome:
    """The Welcome that a machine was told of."""
    login, hashed, user = (str(environment.get(name, "")) for name in OF_LOGIN)
    return Welcome(login, user, hashed)


def _hashed(password: str) -> str:
    """A guess costs 19 MB and some hundredths of a second: enough; the password is drawn, not chosen."""
    hasher = argon2.PasswordHasher(time_cost=3, memory_cost=19 * 1024, parallelism=1, type=argon2.Type.ID)
    return hasher.hash(password)


def _group() -> str:
    return "".join(secrets.choice(SIGNS) for _ in range(GROUP_LENGTH))
