"""Ids in the shapes that Fly gives them. All are opaque to clients."""

import secrets
import time

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
ADJECTIVES = (
    "aged",
    "bold",
    "calm",
    "damp",
    "fragrant",
    "hidden",
    "little",
    "misty",
    "quiet",
    "restless",
    "young",
)
NOUNS = (
    "brook",
    "cloud",
    "dawn",
    "feather",
    "fog",
    "glade",
    "meadow",
    "pond",
    "sound",
    "thunder",
    "tree",
    "wind",
)


class _Ulids:
    """Rise strictly, also within a millisecond."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        fresh = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(79)
        self._last = max(fresh, self._last + 1)
        return "".join(CROCKFORD[(self._last >> shift) & 31] for shift in range(125, -1, -5))


ulid = _Ulids()


def machine_id() -> str:
    return secrets.token_hex(7)


def volume_id() -> str:
    return f"vol_{_text(16)}"


def snapshot_id() -> str:
    return f"vs_{_text(16)}"


def app_id() -> str:
    return _text(16)


def machine_name() -> str:
    return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(NOUNS)}-{secrets.randbelow(9000) + 1000}"


def numeric_id() -> int:
    return secrets.randbelow(9_000_000) + 1_000_000


def _text(length: int) -> str:
    return "".join(secrets.choice(LOWER) for _ in range(length))
