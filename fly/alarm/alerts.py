"""What was found and told: each trouble once when it begins, once when it gets worse, once when it is over.

What is to be told is put together in a batch that has a number before any mail is written, so that a run that
is killed in between neither tells it twice nor forgets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fly.alarm.findings import Finding
from fly.record import Record, stamp

CALM = timedelta(minutes=15)
"""What was not seen for so long is over; what comes back sooner was never away."""
COLUMNS = "number, key, kind, who, level, what, cure, since, seen_at, over_at"


@dataclass(frozen=True)
class Alert:
    """A trouble from when it began to when it was over (empty while it lasts)."""

    number: int
    key: str
    kind: str
    who: str
    level: int
    what: str
    cure: str
    since: str
    seen_at: str
    over_at: str


@dataclass(frozen=True)
class Batch:
    """What one mail tells."""

    number: int
    new: tuple[Alert, ...]
    over: tuple[Alert, ...]


class _Undone(Exception):  # noqa: N818 - nothing went wrong
    pass


class Alerts(Record):
    """The alerts of one platform, in the ledger at `path`."""

    CALLED = "The ledger"
    TABLES = """
    CREATE TABLE IF NOT EXISTS alerts (
        number INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        who TEXT NOT NULL,
        level INTEGER NOT NULL,
        what TEXT NOT NULL,
        cure TEXT NOT NULL,
        since TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        over_at TEXT NOT NULL DEFAULT '',
        told_in INTEGER NOT NULL DEFAULT 0,
        over_told_in INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS alerts_that_last ON alerts (platform, key) WHERE over_at = '';
    CREATE TABLE IF NOT EXISTS alert_batches (
        number INTEGER PRIMARY KEY,
        platform TEXT NOT NULL,
        made_at TEXT NOT NULL,
        is_put INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    """

    def __init__(self, path: Path, platform: str) -> None:
        super().__init__(path)
        self._platform = platform

    def note(self, findings: Sequence[Finding], now: datetime, *, blind: bool = False) -> list[Alert]:
        """Writes down what is found now; what lasts. `blind`: nobody could look, so nothing is over."""
        with self._transaction():
            self._note(findings, now, blind=blind)
        return self.lasting()

    def foreseen(self, findings: Sequence[Finding], now: datetime, *, blind: bool = False) -> Batch:
        """What a batch would hold if this were noted now; it is not."""
        try:
            with self._transaction():
                self._note(findings, now, blind=blind)
                batch = self.pending()
                raise _Undone
        except _Undone:
            return batch

    def _note(self, findings: Sequence[Finding], now: datetime, *, blind: bool) -> None:
        for finding in findings:
            self._see(finding, now)
        if not blind:
            self._execute(
                "UPDATE alerts SET over_at = ? WHERE platform = ? AND over_at = '' AND seen_at <= ?",
                *(stamp(now), self._platform, stamp(now - CALM)),
            )

    def lasting(self) -> list[Alert]:
        """Oldest first."""
        return self._select("over_at = ''")

    def past(self, most: int = 50) -> list[Alert]:
        """What is over, the latest first."""
        return self._select("over_at <> ''")[: -most - 1 : -1]

    def news(self, now: datetime) -> Batch | None:
        """What nobody was told yet, as a batch; the one that was not put into the outbox comes first."""
        with self._transaction():
            number = self._unput() or self._batched(now)
        if not number:
            return None
        over = self._select("over_told_in = ?", number)
        return Batch(number, tuple(self._select("told_in = ?", number)), tuple(over))

    def pending(self) -> Batch:
        """What a batch made now would hold; changes nothing."""
        return Batch(
            0,
            tuple(self._select("told_in = 0 AND over_at = ''")),
            tuple(self._select("told_in > 0 AND over_told_in = 0 AND over_at <> ''")),
        )

    def put(self, batch: Batch) -> None:
        """The batch is in the outbox: from here on it is the outbox's business."""
        self._execute("UPDATE alert_batches SET is_put = 1 WHERE number = ?", batch.number)

    def _see(self, finding: Finding, now: datetime) -> None:
        since = stamp(finding.since or now)
        self._execute(
            "INSERT INTO alerts (platform, key, kind, who, level, what, cure, since, seen_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (platform, key) WHERE over_at = '' DO UPDATE SET"
            " told_in = CASE WHEN excluded.level > level THEN 0 ELSE told_in END,"
            " level = excluded.level, who = excluded.who, what = excluded.what, cure = excluded.cure,"
            " seen_at = excluded.seen_at",
            *(self._platform, finding.key, finding.kind, finding.who, finding.level),
            *(finding.what, finding.cure, since, stamp(now)),
        )

    def _unput(self) -> int:
        rows = self._rows(
            "SELECT min(number) FROM alert_batches WHERE platform = ? AND is_put = 0", self._platform
        )
        return rows[0][0] or 0

    def _batched(self, now: datetime) -> int:
        """A new batch with all that is to be told; 0 if that is nothing."""
        pending = self.pending()
        if not pending.new and not pending.over:
            return 0
        self._execute(
            "INSERT INTO alert_batches (platform, made_at) VALUES (?, ?)", self._platform, stamp(now)
        )
        number = int(self._rows("SELECT max(number) FROM alert_batches")[0][0])
        for alert in pending.new:
            self._execute("UPDATE alerts SET told_in = ? WHERE number = ?", number, alert.number)
        for alert in pending.over:
            self._execute("UPDATE alerts SET over_told_in = ? WHERE number = ?", number, alert.number)
        return number

    def _select(self, where: str, *values: object) -> list[Alert]:
        rows: list[tuple[Any, ...]] = self._rows(
            f"SELECT {COLUMNS} FROM alerts WHERE platform = ? AND ({where}) ORDER BY number",  # noqa: S608
            *(self._platform, *values),
        )
        return [Alert(*row) for row in rows]
