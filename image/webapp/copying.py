"""A conversation copied under another id, as Claude Code can go on with it; of any size, line by line."""

import json
from pathlib import Path

_NOT_COPIED = (b'{"type":"cost-state"', b'{"type":"custom-title"', b'{"type":"queue-operation"')
"""What was paid and how it was called belongs to the first one."""
COPYING = ".part"
"""How the name of a copy ends until it is whole."""


def copy_transcript(source: Path, target: Path, title: str, *, end: int) -> None:
    """The lines before `end`; the copy appears as a whole, or not at all.

    Errors: OSError.
    """
    old, new = (f'"sessionId":"{path.stem}"'.encode() for path in (source, target))
    draft = target.with_suffix(COPYING)
    try:
        with source.open("rb") as lines, draft.open("wb") as copied:
            for line in lines:
                end -= len(line)
                if end < 0:
                    break
                if not line.startswith(_NOT_COPIED):
                    copied.write(line.replace(old, new))
            named = {"type": "custom-title", "customTitle": title, "sessionId": target.stem}
            copied.write(json.dumps(named, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
