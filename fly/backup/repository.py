"""Where copies are kept: a restic repository, in a folder or on an S3-compatible storage.

A copy is one stream: restic cuts it where its content says, so that what did not change is stored once, also
across workspaces. What a copy is of, and its seal, stand in its tags: the repository and its password are
enough to bring everything back. The tag `whole` comes last; what lacks it was cut off.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from fly.backup.courier import PIECE, Seal
from fly.backup.records import Copy
from fly.errors import BackupError, JarvisError
from fly.settings import Settings

FILE = "data.tar"
WHOLE = "whole"
LEDGER, LEDGER_FILE = "ledger", "ledger.sqlite"
LOCKED = "already locked"
PATIENCE_S = 600.0
"""How long another one at work on the repository is waited for."""
ANSWERS_WITHIN_S = 90.0
CUT_OFF_AFTER = timedelta(hours=6)
"""A copy that is not whole by then never will be."""
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Kept:
    """A copy in the repository, and restic's id of it."""

    copy: Copy
    snapshot: str


class Repository:
    """*Errors*: BackupError."""

    def __init__(
        self, settings: Settings, *, patience_s: float = PATIENCE_S, sleep: Sleep = time.sleep
    ) -> None:
        self.location = settings.backup_repository
        self._password = settings.backup_password
        self._patience_s, self._sleep = patience_s, sleep
        self._environment = {
            **settings.inherited,
            "TZ": "UTC",
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_CACHE_DIR": str(settings.home / "backup-cache"),
            "RESTIC_PROGRESS_FPS": "0.1",
            "AWS_ACCESS_KEY_ID": settings.backup_key_id,
            "AWS_SECRET_ACCESS_KEY": settings.backup_secret_key.reveal(),
        }
        self._check_settings()

    def _check_settings(self) -> None:
        if not self.location:
            raise BackupError(
                "There is no place for copies: JARVIS_BACKUP_REPOSITORY is not set.",
                hint="a folder that is not on this disk, or s3:https://HOST/BUCKET/FOLDER",
            )
        if not self._password:
            raise BackupError(
                "Copies are encrypted, and JARVIS_BACKUP_PASSWORD is not set.",
                hint="draw one: openssl rand -base64 32; and keep it elsewhere too",
            )
        if self.location.startswith("s3:") and not self._environment["AWS_SECRET_ACCESS_KEY"]:
            raise BackupError(
                "An S3-compatible storage wants keys, and they are not set.",
                hint="set JARVIS_BACKUP_KEY_ID and JARVIS_BACKUP_SECRET_KEY",
            )

    # --- the repository itself

    def ensure(self) -> bool:
        """Whether it had to be made. *Errors*: also a wrong password, a storage that does not answer."""
        code, _, said = self._try("cat", "config", timeout_s=ANSWERS_WITHIN_S)
        if code == 0:
            # Only of processes that are gone: what is at work keeps its locks fresh.
            self._try("unlock", timeout_s=ANSWERS_WITHIN_S)
            return False
        if "Is there a repository at" not in said:
            raise self._trouble(f"The repository {self.location} cannot be opened", said)
        code, _, said = self._try("init", timeout_s=ANSWERS_WITHIN_S)
        if code != 0:
            raise self._trouble("The repository cannot be made", said)
        return True

    # --- copies

    def store(
        self, copy_id: str, workspace: str, at: datetime, feed: Callable[[Callable[[bytes], Any]], Seal]
    ) -> tuple[Seal, int]:
        """What `feed` has given to its argument is in the repository; by how many bytes that grew.

        It counts as a copy only once it is `finish`ed.
        """
        tags = ("--host", workspace, "--tag", copy_id, "--time", _restic_time(at))
        command = self._command("backup", "--stdin", "--stdin-filename", FILE, *tags, "--quiet", "--json")
        with self._running(command, stdin=subprocess.PIPE) as (process, stderr):
            assert process.stdin
            try:
                seal = feed(process.stdin.write)
                process.stdin.close()
                answer = process.stdout.read() if process.stdout else b""
                code = process.wait()
            except BrokenPipeError:
                process.wait()
                raise self._trouble("The copy could not be stored", _said(stderr)) from None
            if code != 0:
                raise self._trouble("The copy could not be stored", _said(stderr))
        return seal, int(_last_json(answer)["data_added"])

    def finish(self, copy: Copy) -> None:
        """Writes on the copy what it is of; from now on it counts."""
        tags = {
            "app": copy.app, "email": copy.email, "size": copy.size, "new": copy.new_bytes,
            "files": copy.files, "manifest": copy.manifest,
        }  # fmt: skip
        words = [copy.id, WHOLE, *(f"{name}:{value}" for name, value in tags.items())]
        self._run(
            "The copy could not be finished", "tag", "--tag", copy.id, *(f"--set={word}" for word in words)
        )

    def copies(self, workspace: str = "") -> list[Kept]:
        """Oldest first."""
        return sorted(
            (kept for kept in map(self._kept, self._snapshots(WHOLE, workspace)) if kept),
            key=lambda kept: (kept.copy.at, kept.copy.id),
        )

    @contextmanager
    def opened(self, copy: Copy) -> Iterator[Iterator[bytes]]:
        """The stream that was stored."""
        command = self._command("dump", "--tag", f"{copy.id},{WHOLE}", "latest", f"/{FILE}")
        with self._running(command) as (process, stderr):
            assert process.stdout
            try:
                yield iter(lambda: process.stdout.read(PIECE), b"")  # type: ignore[union-attr]
            except JarvisError:
                # Who read it says that it breaks off; restic knows why.
                if process.poll() in (None, 0):
                    raise
            if process.wait() != 0:
                raise self._trouble("The copy could not be read", _said(stderr))

    def forget(self, keep: Mapping[str, int], *, dry_run: bool = False) -> list[str]:
        """The copies that are too many, which are gone then, with what nobody else needs."""
        kept = [f"--keep-{name}={number}" for name, number in keep.items() if number]
        whole = ("--tag", WHOLE, "--group-by", "host", *kept)
        answer = self._run("Old copies could not be sought", "forget", *whole, "--dry-run", "--json")
        groups = _last_json(answer, default=[])
        going = [snapshot for group in groups for snapshot in group.get("remove") or []]
        cut_off = [one["id"] for one in self._snapshots() if _is_cut_off(one)]
        if (going or cut_off) and not dry_run:
            ids = [*(one["id"] for one in going), *cut_off]
            self._run("Old copies could not be removed", "forget", "--prune", "--quiet", *ids)
        return [kept.copy.id for kept in map(self._kept, going) if kept]

    def remove(self, copies: Iterable[Copy]) -> None:
        """These are gone then, with what nobody else needs; one that is gone already stays it."""
        ids = {copy.id for copy in copies}
        going = [kept.snapshot for kept in self.copies() if kept.copy.id in ids]
        if going:
            self._run("The copies could not be removed", "forget", "--prune", "--quiet", *going)

    # --- the ledger: without it nobody knows whose copy is whose, and which key opens what

    def keep_ledger(self, copy: Path, keep: Mapping[str, int]) -> None:
        """A copy of the ledger beside those of the workspaces."""
        about = ("--host", LEDGER, "--tag", LEDGER)
        command = self._command("backup", "--stdin", "--stdin-filename", LEDGER_FILE, *about, "--quiet")
        with self._running(command, stdin=subprocess.PIPE) as (process, stderr):
            process.communicate(copy.read_bytes())
            if process.returncode != 0:
                raise self._trouble("The ledger could not be stored", _said(stderr))
        kept = [f"--keep-{name}={number}" for name, number in keep.items() if number]
        self._run("Old ledgers could not be removed", "forget", "--tag", LEDGER, "--quiet", *kept)

    def fetch_ledger(self, path: Path) -> None:
        """The newest copy of the ledger, written to `path`, which only its owner may read."""
        answer = self._run("There is no ledger", "dump", "--tag", LEDGER, "latest", f"/{LEDGER_FILE}")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(answer)

    def check(self) -> None:
        """Whether the repository is sound. *Errors*: BackupError."""
        self._run("The repository is damaged", "check", "--quiet")

    def _snapshots(self, tag: str = "", workspace: str = "") -> list[Mapping[str, Any]]:
        wanted = [*(("--tag", tag) if tag else ()), *(("--host", workspace) if workspace else ())]
        answer = self._run("The copies could not be listed", "snapshots", "--json", *wanted)
        found: list[Mapping[str, Any]] = _last_json(answer, default=[]) or []
        return found

    def _kept(self, snapshot: Mapping[str, Any]) -> Kept | None:
        """None for something that is not of ours."""
        id, *words = snapshot.get("tags") or [""]  # noqa: A001
        told = dict(word.split(":", 1) for word in words if ":" in word)
        try:
            copy = Copy(
                id=id,
                workspace=snapshot["hostname"],
                app=told["app"],
                email=told["email"],
                at=_our_time(snapshot["time"]),
                size=int(told["size"]),
                new_bytes=int(told["new"]),
                files=int(told["files"]),
                manifest=told["manifest"],
                repository=self.location,
            )
        except (KeyError, ValueError):
            return None
        return Kept(copy, snapshot["id"])

    # --- restic

    def _run(self, complaint: str, *arguments: str) -> bytes:
        """What it answers. Who works on the repository at the moment is waited for."""
        began = time.monotonic()
        while True:
            code, answer, said = self._try(*arguments)
            if code == 0:
                return answer
            if LOCKED not in said or time.monotonic() - began > self._patience_s:
                raise self._trouble(complaint, said)
            self._try("unlock", timeout_s=ANSWERS_WITHIN_S)  # only what dead processes have locked
            self._sleep(2.0)

    def _try(self, *arguments: str, timeout_s: float | None = None) -> tuple[int, bytes, str]:
        with self._running(self._command(*arguments)) as (process, stderr):
            try:
                answer, _ = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                raise self._trouble(
                    f"The repository {self.location} does not answer", _said(stderr)
                ) from error
            return process.returncode, answer, _said(stderr)

    def _command(self, *arguments: str) -> Sequence[str]:
        return [find_restic(), *arguments]

    @contextmanager
    def _running(
        self, command: Sequence[str], stdin: int = subprocess.DEVNULL
    ) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        """restic, which ends with the block, and before its input does: half a copy is none.

        The password goes through a pipe: neither a list of processes nor a child's environment has it.
        """
        reader, writer = os.pipe()
        try:
            os.write(writer, self._password.reveal().encode())
        finally:
            os.close(writer)
        environment = self._environment | {"RESTIC_PASSWORD_FILE": f"/dev/fd/{reader}"}
        with tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment,
                    pass_fds=[reader],
                )  # fmt: skip
            finally:
                os.close(reader)
            try:
                yield process, stderr
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)  # the one at which it takes its lock away
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(10)
                    process.kill()
                    process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        with suppress(OSError):
                            pipe.close()

    def _trouble(self, complaint: str, said: str) -> BackupError:
        lines = [line for line in said.splitlines() if line.strip()]
        fatal = [line.removeprefix("Fatal: ") for line in lines if line.startswith("Fatal: ")]
        words = (fatal or lines or ["restic did not say why"])[-1].strip()
        return BackupError(f"{complaint}: {words[:300]}", hint=_hint(said))


def find_restic() -> str:
    """*Errors*: BackupError."""
    found = shutil.which("restic")
    if found is None:
        raise BackupError(
            "Copies are made by restic, which is not installed.",
            hint="apt-get install restic, or brew install restic",
        )
    return found


_HINTS = {
    "wrong password": "JARVIS_BACKUP_PASSWORD is not the one with which this repository was made",
    "no space left": "make room there, or copy elsewhere with --to; nothing that was there before is harmed",
    "quota": "make room there, or copy elsewhere with --to; nothing that was there before is harmed",
    "permission denied": "who runs this must be allowed to write there",
    LOCKED: "another process works on the repository; if none does any more: restic unlock",
    "access key id": "look at JARVIS_BACKUP_KEY_ID and JARVIS_BACKUP_SECRET_KEY",
    "signature": "look at JARVIS_BACKUP_KEY_ID and JARVIS_BACKUP_SECRET_KEY",
    "Access Denied": "look at JARVIS_BACKUP_KEY_ID and JARVIS_BACKUP_SECRET_KEY",
    "NoSuchBucket": "make the bucket first",
    "connection refused": "look at JARVIS_BACKUP_REPOSITORY and at the network",
}


def _hint(said: str) -> str:
    return next((hint for words, hint in _HINTS.items() if words.lower() in said.lower()), "")


def _said(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    return stderr.read().decode("utf-8", "replace")[-8000:]


def _last_json(answer: bytes, default: Any = None) -> Any:
    """The last line that is JSON: restic may say other things before."""
    for line in reversed(answer.splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    if default is None:
        raise BackupError("restic's answer makes no sense.", hint="try again")
    return default


def _restic_time(at: datetime) -> str:
    """It takes local time, and no zone with it; we run it in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _our_time(text: str) -> str:
    """Of `2026-11-23T07:39:14.73479471Z`, or with an offset."""
    moment, zone = (text[:-1], "+00:00") if text.endswith("Z") else (text[:-6], text[-6:])
    whole = moment.partition(".")[0]
    at = datetime.fromisoformat(whole + zone).astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_cut_off(snapshot: Mapping[str, Any]) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(_our_time(snapshot["time"]))
    tags = set(snapshot.get("tags") or [])
    return tags.isdisjoint({WHOLE, LEDGER}) and age > CUT_OFF_AFTER
