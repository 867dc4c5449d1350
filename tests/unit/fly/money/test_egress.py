"""What left Fly, as the watch measured it, on the bill."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from fly.ledger import as_workspace
from fly.money.cost import lines, total
from fly.money.sources import egress
from fly.watch.samples import Sample, Samples

NIGHT = datetime(2026, 10, 31, 23, tzinfo=UTC)


def test_what_left_is_charged_in_the_month_in_which_it_was_measured(tmp_path: Path) -> None:
    row = as_workspace({"id": "A", "region": "iad", "created_at": "2026-10-01T00:00:00.000Z"})
    with Samples(tmp_path / "watch.sqlite") as samples:
        samples.add(
            Sample(NIGHT + timedelta(minutes=m), "A", "egress_bytes", 1 << 30) for m in (0, 30, 60, 90)
        )
        found = egress(row, samples, NIGHT + timedelta(days=3))
    midnight = datetime(2026, 11, 1, tzinfo=UTC)
    assert [one.gb for one in found] == [2, 2]
    assert total(lines(found, datetime(2026, 10, 1, tzinfo=UTC), midnight)) == Decimal("0.04")
