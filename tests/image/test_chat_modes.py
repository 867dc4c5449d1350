"""Chat in a running container: what its user, who is not root, may let Claude do."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from image.patience import patience
from tests.support.containers import Workspace, Workspaces
from tests.support.internet import Internet
from tests.support.shell import without_escapes


def turn(workspace: Workspace, text: str, **options: str) -> list[dict[str, Any]]:
    """The items that one message brought, as they came; a card fails the test."""
    items: dict[str, dict[str, Any]] = {}
    conversation = str(uuid.uuid4())
    with workspace.socket("/api/live") as page:
        for kind, rest in (
            ("follow", {}),
            ("send", {"message_id": str(uuid.uuid4()), "text": text, "options": options}),
        ):
            page.send(json.dumps({"type": kind, "conversation": conversation, **rest}))
        deadline = time.monotonic() + 60 * patience()
        while not any(item["kind"] == "end" for item in items.values()):
            message = json.loads(page.recv(timeout=max(0.0, deadline - time.monotonic())))
            match message.get("op"):
                case "add":
                    items[message["item"]["id"]] = message["item"]
                case "set":
                    items[message["id"]].update(message["patch"])
            assert not any(item["kind"] == "ask" for item in items.values()), "nobody should be asked"
    return list(items.values())


def test_bypass_runs_commands_without_asking(workspaces: Workspaces, internet: Internet) -> None:
    """In the mode that asks nothing, a command runs at once, as the workspace's own user."""
    key = internet.anthropic.environment(by="key")["ANTHROPIC_API_KEY"]
    workspace = workspaces.start(internet=internet, environment={"ANTHROPIC_API_KEY": key})
    items = turn(
        workspace,
        '[tool Bash {"command": "id -un > who; cat who"}] [say done]',
        permission_mode="bypassPermissions",
    )
    assert [item["outcome"] for item in items if item["kind"] == "end"] == ["completed"]
    assert [(item["status"], item["output"]) for item in items if item["kind"] == "tool"] == [
        ("done", "jarvis")
    ]
    assert without_escapes(workspace.run("cat", "/data/workspace/who")).strip() == "jarvis"
