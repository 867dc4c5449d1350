"""What is on a volume, as a machine tells it, and when it counts as lost."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from fly.change.contents import Contents, Item, damage, missing_of_copy
from fly.change.machine import INSIDE

FOLDER = Item("d", 0, 0, "")
PARTS = dict.fromkeys(("app", "claude", "home", "workspace"), FOLDER)
LETTER = Item("f", 4, 50, "abcd")


def inside(*words: str) -> str:
    """What the script says, run as in a machine: by itself, isolated."""
    command = [sys.executable, "-IBc", INSIDE.read_text(encoding="utf-8"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def volume(began: int = 100, **changes: Item | None) -> Contents:
    items = PARTS | {"workspace/letter.txt": LETTER, "app/state.json": LETTER}
    named = {name.replace("__", "/").replace("_json", ".json"): item for name, item in changes.items()}
    return Contents(began, {path: item for path, item in (items | named).items() if item})


def without(contents: Contents, path: str) -> Contents:
    return replace(contents, items={name: item for name, item in contents.items.items() if name != path})


def test_a_machine_tells_all_that_it_has_whatever_the_names_are(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "workspace" / "Brief für Zoë.txt").write_text("Dear")
    (tmp_path / "workspace" / "link").symlink_to("nowhere")
    (tmp_path / "large").write_bytes(b"x" * 5000)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/no \xff utf-8")).write_text("x")
    os.mkfifo(tmp_path / "pipe")
    found = Contents.unpack(inside("list", str(tmp_path), "4000"))
    kinds = {path: item.kind for path, item in found.items.items()}
    assert kinds == {
        "workspace": "d",
        "workspace/Brief für Zoë.txt": "f",
        "workspace/link": "l",
        "large": "f",
        "no \udcff utf-8": "f",
    }
    assert found.items["large"].hash == "", "beyond what is hashed"
    assert len(found.items["workspace/Brief für Zoë.txt"].hash) == 16
    assert (found.files, found.size) == (3, 5005)
    assert Contents.unpack(found.pack()) == found


@pytest.mark.parametrize("text", ["", "no base64!", "eNo=", json.dumps({"entries": {}})])
def test_something_else_than_a_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Contents.unpack(text)


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {"/health": (200, b'{"status":"ok"}'), "/api/login": (200, b'{"login":"link"}')}
        status, body = answers.get(self.path, (401, b""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_a_machine_tells_how_its_server_answers() -> None:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        said = json.loads(inside("serve", f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
    assert said == {"health": 200, "well": True, "page": 401, "login": "link"}
    assert json.loads(inside("serve", f"http://127.0.0.1:{server.server_port}"))["health"] == 0


def test_a_copy_that_is_the_same_lacks_nothing() -> None:
    assert missing_of_copy(volume(), volume()) == []


def test_what_a_copy_lacks_is_told() -> None:
    assert missing_of_copy(volume(), without(volume(), "workspace/letter.txt")) == [
        "/data/workspace/letter.txt is missing"
    ]
    assert missing_of_copy(volume(), without(volume(), "home")) == ["/data/home is missing"]
    other = volume(app__state_json=replace(LETTER, hash="other"))
    assert missing_of_copy(volume(), other) == ["/data/app/state.json is changed"]


def test_what_was_changed_or_removed_after_the_look_is_no_fault_of_the_copy() -> None:
    later = volume(app__state_json=Item("f", 9, 101, "other"))
    assert missing_of_copy(volume(), later) == []
    newer_folder = without(volume(workspace=Item("d", 0, 101, "")), "workspace/letter.txt")
    assert missing_of_copy(volume(), newer_folder) == []


def test_nobody_was_let_in_so_a_newer_file_is_no_excuse_for_an_image() -> None:
    emptied = replace(volume(), items={**volume().items, "workspace/letter.txt": Item("f", 0, 500, "")})
    assert damage(volume(), emptied) == ["/data/workspace/letter.txt is changed"]


def test_what_the_server_keeps_counts_on_the_way_back_alone() -> None:
    anew = volume(app__state_json=Item("f", 9, 500, "new"))
    assert damage(volume(), anew) == []
    assert damage(volume(), anew, ours=True) == ["/data/app/state.json is changed"]


def test_what_programs_write_as_they_start_is_no_harm() -> None:
    before = replace(
        volume(), items={**volume().items, "claude/.claude.json": LETTER, "app/c.sqlite-wal": LETTER}
    )
    after = without(before, "app/c.sqlite-wal")
    after = replace(after, items={**after.items, "claude/.claude.json": replace(LETTER, hash="x")})
    assert damage(before, after, ours=True) == []


def test_new_files_are_no_harm() -> None:
    after = replace(volume(), items={**volume().items, "app/new.sqlite": LETTER})
    assert damage(volume(), after, ours=True) == []


def test_many_are_told_in_few_words() -> None:
    many = {f"workspace/{number:02}": LETTER for number in range(30)}
    told = damage(replace(volume(), items={**volume().items, **many}), volume())
    assert (len(told), told[-1]) == (6, "and 25 more missing")
