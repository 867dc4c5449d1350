"""Small state of the server's own in JSON files: replaced as a whole, put aside when unreadable."""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from webapp.problem import Problem

log = logging.getLogger("webapp")

WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one where there is none, or none that can be read."""
    try:
        stored = json.loads(path.read_bytes())
        if not isinstance(stored, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _put_aside(path, error)
        return {}
    return stored


def save_object(path: Path, stored: dict[str, Any], what: str) -> None:
    """Writes it so that a crash leaves the old file or the new one; only its owner can read it.

    Errors: Problem 507, which names `what` could not be saved.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(draft, WRITE_NEW, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(stored, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        hint = "The disk may be full: remove files that are no longer needed."
        raise Problem(507, "not_saved", f"{what} could not be saved: {error.strerror}.", hint) from error


def _put_aside(path: Path, error: Exception) -> None:
    """A file that cannot be read is kept for whoever wants to look, and is no reason not to start."""
    log.warning("%s cannot be read (%s): kept as %s.broken, defaults are used", path, error, path.name)
    with contextlib.suppress(OSError):
        path.replace(path.with_name(f"{path.name}.broken"))
