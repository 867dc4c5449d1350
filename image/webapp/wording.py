"""What Claude does and what goes wrong, in words for people who do not program."""

import errno
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LONGEST_TITLE = 160


@dataclass(frozen=True)
class _Verb:
    """An activity in three forms, and which part of a tool's input it is about."""

    wants_to: str
    doing: str
    done: str
    about: str = ""
    code: bool = False


_BACKGROUND = _Verb(
    "look at a running command", "Looking at a running command", "Looked at a running command"
)
_STOPPING = _Verb("stop a running command", "Stopping a running command", "Stopped a running command")
_VERBS = {
    "Bash": _Verb("run", "Running", "Ran", "command", code=True),
    "BashOutput": _BACKGROUND,
    "KillShell": _STOPPING,
    "Read": _Verb("read", "Reading", "Read", "file_path"),
    "Write": _Verb("write", "Writing", "Wrote", "file_path"),
    "Edit": _Verb("edit", "Editing", "Edited", "file_path"),
    "MultiEdit": _Verb("edit", "Editing", "Edited", "file_path"),
    "NotebookEdit": _Verb("edit", "Editing", "Edited", "notebook_path"),
    "Glob": _Verb(
        "look for files named", "Looking for files named", "Looked for files named", "pattern", code=True
    ),
    "Grep": _Verb("search for", "Searching for", "Searched for", "pattern", code=True),
    "LS": _Verb("list", "Listing", "Listed", "path"),
    "WebFetch": _Verb("read the page", "Reading the page", "Read the page", "url"),
    "WebSearch": _Verb("search the web for", "Searching the web for", "Searched the web for", "query"),
    "Agent": _Verb("have a helper work on", "A helper works on", "A helper worked on", "description"),
    "Task": _Verb("have a helper work on", "A helper works on", "A helper worked on", "description"),
    "SendMessage": _Verb("write to a helper", "Writing to a helper", "Wrote to a helper"),
    "ListAgents": _Verb("look which helpers there are", "Looking for helpers", "Looked for helpers"),
    "Workflow": _Verb("have several helpers work", "Several helpers work", "Several helpers worked"),
    "Skill": _Verb("use the skill", "Using the skill", "Used the skill", "skill"),
    "TodoWrite": _Verb("plan its steps", "Planning the steps", "Planned the steps"),
    "TaskCreate": _Verb("plan this step:", "Planning a step:", "Planned a step:", "subject"),
    "TaskUpdate": _Verb("change this step:", "Changing a step:", "Changed a step:", "subject"),
    "TaskList": _Verb("look at its steps", "Looking at the steps", "Looked at the steps"),
    "TaskGet": _Verb("look at one of its steps", "Looking at a step", "Looked at a step"),
    "TaskOutput": _BACKGROUND,
    "TaskStop": _STOPPING,
    "Monitor": _Verb("wait for something", "Waiting for something", "Waited for something"),
    "ScheduleWakeup": _Verb("go on later", "Arranging to go on later", "Arranged to go on later"),
    "CronCreate": _Verb("do something at set times", "Setting a time", "Set a time"),
    "CronDelete": _Verb("drop a set time", "Dropping a set time", "Dropped a set time"),
    "CronList": _Verb("look at the set times", "Looking at the set times", "Looked at the set times"),
    "RemoteTrigger": _Verb(
        "start something at Claude’s own servers",
        "Starting something at Claude’s own servers",
        "Started something at Claude’s own servers",
    ),
    "EnterWorktree": _Verb(
        "work on a copy of the project", "Making a copy to work on", "Made a copy to work on"
    ),
    "ExitWorktree": _Verb(
        "leave the copy of the project", "Leaving the copy of the project", "Left the copy of the project"
    ),
    "ReportFindings": _Verb("report what it found", "Reporting what it found", "Reported what it found"),
    "ToolSearch": _Verb("look for a tool", "Looking for a tool", "Looked for a tool"),
    "AskUserQuestion": _Verb("ask you something", "Asking you", "Asked you"),
    "EnterPlanMode": _Verb("make a plan first", "Beginning to plan", "Began to plan"),
    "ExitPlanMode": _Verb("carry out this plan", "Showing you the plan", "Showed you the plan"),
}

_STEPS = {
    "in_progress": _Verb("begin this step:", "Beginning a step:", "Began a step:", "subject"),
    "completed": _Verb("tick this step off:", "Finishing a step:", "Finished a step:", "subject"),
    "deleted": _Verb("drop this step:", "Dropping a step:", "Dropped a step:", "subject"),
}
"""A change of a step, by what becomes of it."""


def activity(tool: str, given: dict[str, Any], workspace: str, *, done: bool) -> str:
    """A tool call's one line: "Ran `ls -la`", "Editing notes.md".

    Of a command Claude's own words for it are the line, where it gives them: they say more to most people.
    """
    said = given.get("description") if tool == "Bash" else None
    if isinstance(said, str) and said.strip():
        return _first_line(said.strip())
    verb = _verb(tool, given)
    return _line(verb.done if done else verb.doing, verb, given, workspace)


def request(tool: str, given: dict[str, Any], workspace: str) -> str:
    """What a permission card asks for: "Claude wants to run `ls -la`"."""
    verb = _verb(tool, given)
    return _line(f"Claude wants to {verb.wants_to}", verb, given, workspace)


def _verb(tool: str, given: dict[str, Any]) -> _Verb:
    if tool == "TaskUpdate" and given.get("status") in _STEPS:
        return _STEPS[given["status"]]
    if tool in _VERBS:
        return _VERBS[tool]
    if tool.startswith("mcp__"):
        _, server, *name = tool.split("__")
        called = f"{' '.join(name).replace('_', ' ')} of {server}"
        return _Verb(f"use {called}", f"Using {called}", f"Used {called}")
    return _Verb(f"use {tool}", f"Using {tool}", f"Used {tool}")


def _line(beginning: str, verb: _Verb, given: dict[str, Any], workspace: str) -> str:
    about = given.get(verb.about) if verb.about else None
    if not isinstance(about, str) or not about.strip():
        return beginning if not verb.about else f"{beginning} …"
    return f"{beginning} {_shown(about.strip(), verb, workspace)}"


def _shown(about: str, verb: _Verb, workspace: str) -> str:
    if verb.about == "url":
        about = urlsplit(about).netloc or about
    about = about.removeprefix(workspace.rstrip("/") + "/") if workspace else about
    first = _first_line(about)
    return f"`{first}`" if verb.code else first


def _first_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    if rest or len(first) > LONGEST_TITLE:
        first = first[:LONGEST_TITLE].rstrip() + " …"
    return first


# --- what goes wrong ---------------------------------------------------------------------------------

NOT_CONNECTED = (
    "Claude is not connected yet. Open the terminal in Settings, log in, and then send your message again."
)
LOGIN_EXPIRED = (
    "Your login to Claude is no longer valid. Open the terminal in Settings, log in again, "
    "and then send your message again."
)
REFUSED = (
    "Anthropic does not accept the login or the key of this workspace. Log in again; if whoever set up "
    "your workspace gave it a key, please tell them that it does not work."
)
UNKNOWN_MODEL = (
    "Claude does not know the model that is chosen in Settings. Choose another one and send it again."
)
OVERLOADED = "Claude is very busy at the moment. Please try again in a few minutes."
OFFLINE = "Claude cannot be reached: the connection to the internet does not work at the moment."
CRASHED = "Claude stopped unexpectedly. What you wrote is kept; let it continue to go on from here."
LOST = "The workspace was restarted while Claude was working. Let it continue to go on from here."
NOT_SENT = "The workspace was restarted before Claude got this message. Please send it again."
CONTINUE = "Please continue where you were cut off."
REFUSED_TO_RUN = "The person said no to this. Ask what to do instead."

_LIMITS = {
    "five_hour": "You have used up what your Claude plan allows in five hours.",
    "seven_day": "You have used up what your Claude plan allows in a week.",
    "seven_day_opus": "You have used up what your Claude plan allows of this model in a week.",
    "seven_day_sonnet": "You have used up what your Claude plan allows of this model in a week.",
}


def go_on_after(said: str) -> str:
    """What Claude reads when it is to continue an answer that it does not remember."""
    return (
        f"{CONTINUE} This is what I have of that answer; go on from there, and do not say it again:\n\n{said}"
    )


def limit_reached(kind: str | None) -> str:
    beginning = _LIMITS.get(kind or "", "You have used up what your Claude plan allows for now.")
    return f"{beginning} Claude goes on when the limit is renewed."


def files_not_ready(error: OSError) -> str:
    """Why Claude could not be given what is attached to a message."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        cure = "There is no room left in this workspace. Remove files that are not needed, and send it again."
    elif isinstance(error, FileExistsError | NotADirectoryError):
        cure = (
            "Something else in the workspace is called “uploads”. Give that another name, and send it again."
        )
    else:
        cure = "Please attach them again."
    return f"Claude could not be given the files of this message. {cure}"


def crowded(working: int, waiting: int) -> str:
    """Why a message is not begun: other conversations take all the room."""
    why = "Claude is at work in other conversations, and there is no room for one more."
    if not waiting:
        return f"{why} It begins here as soon as one of them is done."
    which = "one of them waits" if waiting == 1 else f"{waiting} of them wait"
    if not working:
        why = "Claude has begun in other conversations, and there is no room for one more."
    return f"{why} It begins here as soon as one of them is done: {which} for your answer."


def trying_again(code: str, attempt: int, most: int) -> str:
    why = "Claude cannot be reached" if code == "offline" else "Claude is very busy at the moment"
    return f"{why}. Trying again ({attempt} of {most}) …"


def went_on(code: str) -> str:
    return (
        "Claude could not be reached for a moment." if code == "offline" else "Claude was busy for a moment."
    )


def failed(why: str) -> str:
    return f"Claude could not finish: {why.strip()[:500]}" if why.strip() else "Claude could not finish."
