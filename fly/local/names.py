"""Ids in the shapes that Fly gives them. All are opaque to clients."""

import secrets
import time

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"
ADJECTIVES = "aged ancient autumn bitter black bold broken calm cold damp dark dry falling fragrant hidden late lively misty morning old patient polished quiet red restless rough shy silent small snowy solitary sparkling spring still summer twilight wandering weathered white wild winter wispy withered young".split()  # fmt: skip
NOUNS = "bird breeze brook bush butterfly cherry cloud darkness dawn dew dream dust feather field fire firefly flower fog forest frog frost glade glitter grass haze hill lake leaf meadow moon morning mountain night paper pine pond rain resonance river sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf thunder tree violet voice water waterfall wave wildflower wind wood".split()  # fmt: skip


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
