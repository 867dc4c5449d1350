"""How much room everything takes."""

import shutil
from typing import Any

from webapp.config import Config
from webapp.files.trash import size_of


def usage(config: Config) -> dict[str, Any]:
    """Bytes by what they are for, and how much the disk holds.

    Shape: {"parts": {"workspace": 1, …}, "disk": {"total": 1, "free": 1}}
    """
    transcripts = size_of(config.claude_config / "projects")
    journals = size_of(config.app / "chat")
    trash = size_of(config.app / "trash") + size_of(config.app / "deleted")
    disk = shutil.disk_usage(config.data)
    return {
        "parts": {
            "workspace": size_of(config.workspace),
            "conversations": transcripts + journals,
            "claude": size_of(config.claude_config) - transcripts,
            "home": size_of(config.home),
            "trash": trash,
            "other": size_of(config.app) - journals - trash,
        },
        "disk": {"total": disk.total, "free": disk.free},
    }
