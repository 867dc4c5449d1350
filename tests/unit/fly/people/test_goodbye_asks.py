"""A goodbye at a terminal: asked twice, one no is enough, and nothing goes before its last copy is made."""

from pathlib import Path

from fly.ledger import READY
from tests.support.oneuser import a_user
from tests.support.operator import Operator


def test_goodbye_asks_twice_and_a_second_no_keeps_everything(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        child = Operator(folder).types("offboard", "--name", "lilach")
        child.expect_exact("[y/N]")
        child.sendline("y")
        child.expect_exact("Has she taken along what she wants? [y/N]")
        child.sendline("n")
        child.expect_exact("Nothing was changed.")
        child.wait()
        child.close()
        assert ledger.get(user).state == READY
        assert len(fly.ours) == 1


def test_where_the_last_copy_cannot_be_made_nothing_is_removed(folder: Path) -> None:
    with a_user(folder) as (fly, ledger, user):
        operator = Operator(
            folder, JARVIS_BACKUP_REPOSITORY=str(folder / "copies"), JARVIS_BACKUP_PASSWORD=""
        )
        said = operator.runs("offboard", "--name", "lilach", "--yes", status=1)
        assert "JARVIS_BACKUP_PASSWORD is not set" in said
        assert ledger.get(user).state == READY
        assert len(fly.ours) == 1
