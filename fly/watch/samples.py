"""What was measured of workspaces and when: only added to, thinned when it is old.

Samples are kept as they are for eight days. After that an hour's become one, as their metric says (`fold`);
after 400 days they go. So a week can be looked at closely, and two years' same months compared.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fly.errors import PlanError
from fly.record import Record
from fly.watch.metrics import ALL, LAST, MEAN, METRICS, SUM

WHOLE_DAYS = 8
KEPT_DAYS = 400
HOUR_MS = 3_600_000
FLEET = ""
"""The `workspace_id` of what is measured of all together."""

SCHEMA = f"""
CREATE TABLE samples (
    workspace_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (workspace_id, metric, at_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX samples_by_time ON samples (at_ms);
CREATE INDEX samples_by_metric ON samples (metric, at_ms);
CREATE TRIGGER samples_are_not_rewritten BEFORE UPDATE ON samples
    BEGIN SELECT RAISE(ABORT, 'samples are only added to'); END;
CREATE TRIGGER young_samples_are_not_erased BEFORE DELETE ON samples
    WHEN OLD.at_ms > (strftime('%s', 'now') - {WHOLE_DAYS - 1} * 86400) * 1000
    BEGIN SELECT RAISE(ABORT, 'samples are kept for {WHOLE_DAYS} days'); END;
CREATE TABLE hours (
    workspace_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    value REAL NOT NULL,
    samples INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, metric, hour_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX hours_by_metric ON hours (metric, at_ms);
"""

_EVERYTHING = """
    (SELECT workspace_id, metric, at_ms, value FROM samples
     UNION ALL SELECT workspace_id, metric, at_ms, value FROM hours)
"""
_LATEST = """
    SELECT coalesce(young.at_ms, old.at_ms), who.value, what.value, coalesce(young.value, old.value)
    FROM json_each(?) AS who CROSS JOIN json_each(?) AS what
    LEFT JOIN samples AS young ON (young.workspace_id, young.metric, young.at_ms) = (who.value, what.value,
        (SELECT max(at_ms) FROM samples WHERE (workspace_id, metric) = (who.value, what.value)))
    LEFT JOIN hours AS old ON young.at_ms IS NULL AND (old.workspace_id, old.metric, old.hour_ms) =
        (who.value, what.value,
        (SELECT max(hour_ms) FROM hours WHERE (workspace_id, metric) = (who.value, what.value)))
"""


@dataclass(frozen=True)
class Sample:
    """A metric (`fly/watch/metrics.py`) of a workspace at a moment."""

    at: datetime
    workspace_id: str
    metric: str
    value: float


class Samples(Record):
    """The samples at a path.

    *Errors*: LedgerError.
    """

    CALLED = "The record of what was measured"
    MIGRATIONS = (SCHEMA,)

    def add(self, samples: Iterable[Sample]) -> int:
        """How many are new: of two of the same moment the first stands.

        *Errors*: PlanError, for a metric that nobody has described; then none of them is added.
        """
        rows = [(one.workspace_id, _known(one.metric), _ms(one.at), float(one.value)) for one in samples]
        with self._transaction():
            return sum(
                self._execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?)", *row) for row in rows
            )

    def series(self, workspace_id: str | None, metric: str, since: datetime, until: datetime) -> list[Sample]:
        """From `since` on and before `until`, oldest first; of all where `workspace_id` is None."""
        chosen, values = ("", ()) if workspace_id is None else ("AND workspace_id = ?", (workspace_id,))
        rows = self._rows(
            f"SELECT at_ms, workspace_id, metric, value FROM {_EVERYTHING}"  # noqa: S608
            f" WHERE metric = ? AND at_ms >= ? AND at_ms < ? {chosen} ORDER BY at_ms, workspace_id",
            *(_known(metric), _ms(since), _ms(until), *values),
        )
        return [_sample(*row) for row in rows]

    def latest(self, workspace_id: str) -> dict[str, Sample]:
        """The newest sample of each metric that has one."""
        return self.latest_of([workspace_id])[workspace_id]

    def latest_of(self, workspace_ids: Sequence[str]) -> dict[str, dict[str, Sample]]:
        """The same of many workspaces at once."""
        wanted = json.dumps(list(workspace_ids)), json.dumps(list(METRICS))
        found: dict[str, dict[str, Sample]] = {one: {} for one in workspace_ids}
        for at_ms, *rest in self._rows(_LATEST, *wanted):
            if at_ms is not None:
                one = _sample(at_ms, *rest)
                found[one.workspace_id][one.metric] = one
        return found

    def thin(self, now: datetime) -> int:
        """Folds what is over eight days old into hours, drops what is over 400; gives how many went."""
        whole_from = _ms(now - timedelta(days=WHOLE_DAYS)) // HOUR_MS * HOUR_MS
        kept_from = _ms(now - timedelta(days=KEPT_DAYS))
        folded = [name for name, metric in METRICS.items() if metric.fold != ALL]
        with self._transaction():
            for name in folded:
                self._execute(_FOLDING[METRICS[name].fold], name, whole_from)
            gone = self._execute(
                "DELETE FROM samples WHERE at_ms < ? AND metric IN (SELECT value FROM json_each(?))",
                *(whole_from, json.dumps(folded)),
            )
            gone += self._execute("DELETE FROM samples WHERE at_ms < ?", kept_from)
            self._execute("DELETE FROM hours WHERE at_ms < ?", kept_from)
        return gone


def _folding(value: str) -> str:
    """SQL that makes one of an hour's samples; what comes late joins those that were there."""
    merged = {
        MEAN: "(value * samples + excluded.value * excluded.samples) / (samples + excluded.samples)",
        SUM: "value + excluded.value",
        LAST: "iif(excluded.at_ms > at_ms, excluded.value, value)",
    }[value]
    # Where there is one max() in a query, SQLite takes the bare columns from the row that has it.
    made = {MEAN: "avg(value)", SUM: "total(value)", LAST: "value"}[value]
    return f"""
        INSERT INTO hours
        SELECT workspace_id, metric, at_ms / {HOUR_MS} * {HOUR_MS} AS hour, max(at_ms), {made}, count(*)
        FROM samples WHERE metric = ? AND at_ms < ? GROUP BY workspace_id, hour
        ON CONFLICT DO UPDATE SET value = {merged}, at_ms = max(at_ms, excluded.at_ms),
            samples = samples + excluded.samples
    """  # noqa: S608


_FOLDING = {fold: _folding(fold) for fold in (MEAN, SUM, LAST)}


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise PlanError(f"Nothing is measured that is called {metric!r}.", hint=", ".join(METRICS))
    return metric


def _sample(at_ms: int, workspace_id: str, metric: str, value: float) -> Sample:
    return Sample(datetime.fromtimestamp(at_ms / 1000, UTC), workspace_id, metric, value)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
