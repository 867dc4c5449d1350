"""How much longer things may take on a machine that has other things to do."""

import os

MOST = 10.0


def patience() -> float:
    """How many times slower than a free machine this one may be: so many programs want each processor."""
    return min(MOST, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
