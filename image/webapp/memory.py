"""How much memory is left for one more process."""

from pathlib import Path

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def free_mb(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int:
    """What the machine, and a container's own limit, leave; 0 where nobody says."""
    left = [one for one in (_of_machine(meminfo), _of_container(cgroup)) if one is not None]
    return min(left, default=0) >> 20


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _of_container(cgroup: Path) -> int | None:
    """What files keep in memory is given back when it is needed."""
    try:
        limit, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
        lines = (cgroup / "memory.stat").read_text().splitlines()
        files = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):
        return None
    return limit - used + files
