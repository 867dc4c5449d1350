"""What the user chose: kept, checked, never lost to a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from webapp.config import Config
from webapp.problem import Problem
from webapp.settings import Settings, SettingsFile

from tests.support.wait import wait_until
from tests.support.webapp import Served, run_async

DEFAULTS = {
    "display_name": "",
    "theme": "system",
    "text_size": "medium",
    "enter_sends": True,
    "detail": "clean",
    "permission_mode": "default",
    "model": "",
    "effort": "",
    "language": "",
}


def opened(path: Path) -> SettingsFile:
    return SettingsFile(path, lambda settings: None)


def change(file: SettingsFile, **patch: Any) -> Settings:
    return run_async(lambda: file.change(patch))  # type: ignore[no-any-return]


def test_a_new_workspace_has_the_defaults(tmp_path: Path) -> None:
    assert opened(tmp_path / "settings.json").current.json() == DEFAULTS


def test_a_change_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "app" / "settings.json"
    change(opened(path), theme="dark", display_name="Lilach שלום")
    assert opened(path).current == Settings(theme="dark", display_name="Lilach שלום")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "patch",
    [
        {"theme": "pink"},
        {"theme": None},
        {"text_size": 12},
        {"enter_sends": "yes"},
        {"enter_sends": 1},
        {"detail": ["clean"]},
        {"permission_mode": "root"},
        {"display_name": "x" * 101},
        {"display_name": "two\nlines"},
        {"display_name": "\ud800"},
        {"model": {}},
        {"colour": "red"},
        {"__class__": "x"},
    ],
)
def test_what_makes_no_sense_changes_nothing(tmp_path: Path, patch: dict[str, Any]) -> None:
    file = opened(tmp_path / "settings.json")
    with pytest.raises(Problem) as refused:
        change(file, **{"theme": "dark", **patch})
    assert (refused.value.status, refused.value.code) == (400, "bad_setting")
    assert file.current.json() == DEFAULTS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00\xff", '{"theme": "dark"', "[" * 100_000])
def test_a_corrupt_file_is_kept_aside_and_is_no_reason_to_fail(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content, encoding="latin-1")
    file = opened(path)
    assert file.current.json() == DEFAULTS
    assert (tmp_path / "settings.json.broken").read_text(encoding="latin-1") == content
    assert change(file, theme="dark") == opened(path).current


def test_a_value_that_is_no_longer_known_falls_back_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"theme": "sepia", "text_size": "large"}))
    assert opened(path).current == Settings(text_size="large")


def test_what_a_later_version_has_written_survives_this_one(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"language": "he", "theme": "light"}))
    change(opened(path), theme="dark")
    assert json.loads(path.read_text())["language"] == "he"


def test_a_disk_that_cannot_be_written_is_said_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("a file where the folder should be")
    file = opened(tmp_path / "app" / "settings.json")
    with pytest.raises(Problem) as refused:
        change(file, theme="dark")
    assert (refused.value.status, refused.value.code) == (507, "not_saved")
    assert file.current.theme == "system"


WRITER = """
import asyncio, pathlib, sys
from webapp.settings import SettingsFile
async def main():
    file = SettingsFile(pathlib.Path(sys.argv[1]), lambda settings: None)
    for number in range(10**9):
        await file.change({"display_name": str(number) * 9})
asyncio.run(main())
"""


def test_a_crash_in_the_middle_of_a_write_leaves_whole_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], env={**os.environ, "PYTHONPATH": "image"}
        )
        try:
            before = path.stat().st_mtime_ns if path.exists() else 0
            wait_until(lambda before=before: path.exists() and path.stat().st_mtime_ns != before, "a write")  # type: ignore[misc]
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        assert set(json.loads(path.read_text())) == set(DEFAULTS)


def test_the_page_changes_a_part_and_gets_the_whole(served: Served) -> None:
    with served.client() as client:
        answer = client.put("/api/settings", json={"theme": "dark"})
        assert (answer.status_code, answer.json()) == (200, {**DEFAULTS, "theme": "dark"})
        assert client.get("/api/boot").json()["settings"] == answer.json()


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "\x00"])
def test_a_body_that_is_no_object_is_refused(shared: Served, body: str) -> None:
    with shared.client() as client:
        answer = client.put("/api/settings", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_json")


def test_two_changes_at_once_are_both_kept(config: Config) -> None:
    file = opened(config.app / "settings.json")

    async def both() -> None:
        import asyncio

        await asyncio.gather(file.change({"theme": "dark"}), file.change({"text_size": "large"}))

    run_async(both)
    assert opened(config.app / "settings.json").current == Settings(theme="dark", text_size="large")
