"""A workspace that somebody has lived in, and the proof that all of it is still there."""

from __future__ import annotations

from tests.support.anthropic.standin import Anthropic
from tests.support.containers import Workspace
from tests.support.livepage import LivePage
from tests.support.login import auth_status, log_in

CONVERSATION = "5b0c6c4e-8f0e-4a8e-9d0a-2f6f3c1d7e11"
WORD = "the word is plum"
SETTINGS = {"display_name": "Lily", "theme": "dark"}
WORK = (
    "cd /data/workspace && mkdir -p 'Letters of 2026' && printf 'שלום\\n' > 'Letters of 2026/מכתב.txt'",
    "printf '#!/bin/sh\\necho it runs\\n' > run.sh && chmod 750 run.sh && ln -s run.sh link",
    "git init -q project && git -C project -c user.name=L -c user.email=l@x commit -q --allow-empty -m first",
    "echo 'alias hello=\"echo hello to you\"' >> ~/.bashrc",
)


def live_in(workspace: Workspace, anthropic: Anthropic) -> None:
    """Login, files, settings of the shell and of the page, and a conversation."""
    shell = workspace.shell().settle()
    log_in(shell, anthropic)
    for command in WORK:
        shell.run(command)
    assert workspace.ask("PUT", "/api/settings", SETTINGS).status_code == 200
    with LivePage(workspace, CONVERSATION) as page:
        page.until(lambda: page.auth.get("state") == "signed_in", "the page to know of the login")
        assert page.ask(WORD) == f"You said: {WORD}"


def assert_all_is_there(workspace: Workspace) -> None:
    """What `live_in` left: the login, the settings, the conversation and the files."""
    assert auth_status(workspace)["email"] == "lilach@example.com"
    settings = workspace.get("/api/boot").json()["settings"]
    assert {name: settings[name] for name in SETTINGS} == SETTINGS
    listed = workspace.get("/api/conversations").json()["conversations"]
    assert CONVERSATION in [one["id"] for one in listed]
    with LivePage(workspace, CONVERSATION) as page:
        assert page.of("user")[0]["text"] == WORD
        assert f"You said: {WORD}" in [one["text"] for one in page.of("assistant")]
    shell = workspace.shell().settle()
    assert shell.run("./link; hello; cat Letters*/*.txt") == "it runs\nhello to you\nשלום"
    assert shell.run("git -C project --no-pager log --format=%s") == "first"
    workspace.close(shell)


def assert_the_chat_goes_on(workspace: Workspace) -> None:
    """Claude knows what was said before."""
    with LivePage(workspace, CONVERSATION) as page:
        assert WORD in page.ask("[recall]")
