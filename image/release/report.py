"""One page about one verification: the verdict and all that it rests on, in a file that needs no other."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fly.lazy import Lazy
from image.release.budget import LINES, layer_changes, limits, value_of
from image.release.content import short
from image.release.packages import KINDS, changes, listed
from image.release.plot import Series, plot
from image.release.records import EFFORTS, Outcome, Records, Verification
from image.release.suite import read_budget, read_growth

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = Lazy("jinja2")

TEMPLATE = "report.html.j2"
GROUPS: Mapping[str, str] = {
    "Speed and size": r"tests/\w+/test_(latency|size|speed)|budget::",
    "Data": r"tests/\w+/test_(data|persistence|upgrade|volume|full_disk|many_files)",
    "Life": r"tests/\w+/test_(life|locked_down|clock|memory|crash|logs)",
    "Content": r"tests/\w+/test_(contents|layers|shared_facts|lint|licences)|sbom::",
    "Person": "",
}
"""What a promise is about, by where its test lies; the last takes the rest. Shown in another order."""
ORDER = ("Person", "Data", "Life", "Content", "Speed and size")
NOT_CHECKED = (
    (
        "A loss of power",
        "what is tried is a kill of every process, after which the kernel still writes what it holds",
    ),
    (
        "Known vulnerabilities",
        "no scanner's database is at hand; “invoke outdated” lists the security updates that are pending",
    ),
    ("Signature and provenance", "the image is named by its digest, and nobody has signed it"),
    ("Other processors", "only the architecture below was built and tried"),
    ("Fly itself", "what ran here is Docker; a machine on Fly boots a kernel of its own"),
)
MOST_RELEASES = 12
PHONE_WIDTH = 700
LARGEST_BILL = 4_000_000
CALLED = {"claude": "Claude", "debian": "Debian", "python": "Python", "npm": "The page (npm)"}
UNITS = {"kilobytes": "KB", "p50_ms": "ms"}


def write_report(records: Records, number: int, folder: Path) -> Path:
    """`report.json` and `report.html` in the folder that has the evidence; the path of the page."""
    facts = report(records, number, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    page = folder / "report.html"
    page.write_text(_page(facts, folder), encoding="utf-8")
    return page


def report(records: Records, number: int, folder: Path) -> dict[str, Any]:
    """All that the page says, for programs."""
    found = records.verification(number)
    image = records.facts(found.image)
    last = records.compared_with(number)
    outcomes = records.outcomes(number)
    return {
        "verification": found.to_json(),
        "image": image | {"short_id": short(found.image), "claude": _claude(records, found)},
        "last_release": _last(records, last),
        "upgraded_from": records.kept(number, "previous") or "",
        "counts": {"promises": len(outcomes), "broken": sum(not one.is_kept for one in outcomes)},
        "groups": _groups(outcomes, folder),
        "efforts": records.kept(number, EFFORTS) or {},
        "budget": _budget(records, found, last),
        "layers": _layers(records, found, image, last),
        "packages": {kind: _changes(records, found, last, kind) for kind in KINDS},
        "history": _history(records, found),
        "sbom": records.kept(number, "sbom") or {"file": "", "tool": "", "trouble": "it was not made"},
        "transcripts": _files(folder, "transcripts", "*.txt"),
        "pictures": _files(folder, "pictures", "*.png"),
        "not_checked": [{"what": what, "why": why} for what, why in NOT_CHECKED],
    }


# --- what the page says ---------------------------------------------------------------------------


def _last(records: Records, last: Verification | None) -> dict[str, Any] | None:
    if last is None:
        return None
    push = next(one for one in reversed(records.pushes()) if one.verification == last.number)
    return {"image": last.image, "short_id": short(last.image), "at": push.at, "digest": push.digest}


def _claude(records: Records, found: Verification) -> str:
    python = records.kept(found.number, "python") or {}
    claude = records.kept(found.number, "claude") or ""
    return claude or f"SDK {python.get('claude-agent-sdk', 'unknown')}"


def _groups(outcomes: Sequence[Outcome], folder: Path) -> list[dict[str, Any]]:
    """Broken promises first, then the slowest."""
    groups: dict[str, list[Outcome]] = {name: [] for name in ORDER}
    for outcome in outcomes:
        groups[_group(outcome.test)].append(outcome)
    return [
        {
            "name": name,
            "broken": sum(not one.is_kept for one in members),
            "seconds": round(sum(one.seconds for one in members), 1),
            "promises": [
                vars(one) | {"detail": _detail(folder, one)}
                for one in sorted(members, key=lambda one: (one.is_kept, -one.seconds))
            ],
        }
        for name, members in groups.items()
        if members
    ]


def _group(test: str) -> str:
    return next(name for name, pattern in GROUPS.items() if re.match(pattern, test))


def failure_path(folder: Path, test: str) -> Path:
    """Where the story of a broken promise lies."""
    name = "".join(char if char.isalnum() else "-" for char in test.rpartition("/")[2])
    return folder / "failures" / f"{name[:120]}.txt"


def _detail(folder: Path, outcome: Outcome) -> str:
    path = failure_path(folder, outcome.test)
    return "" if outcome.is_kept or not path.exists() else path.read_text(encoding="utf-8", errors="replace")


def _budget(records: Records, found: Verification, last: Verification | None) -> list[dict[str, Any]]:
    now = records.figures(found.number)
    before = records.figures(last.number) if last else {}
    return [
        {
            "name": name,
            "label": LINES[name].label,
            "unit": LINES[name].unit,
            "limit": _rounded(limit.most),
            "because": limit.because,
            "value": _rounded(value_of(name, now)),
            "before": _rounded(value_of(name, before)),
        }
        for name, limit in limits(read_budget(), read_growth(), before).items()
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _layers(
    records: Records, found: Verification, image: Mapping[str, Any], last: Verification | None
) -> list[dict[str, Any]]:
    inside = records.kept(found.number, "layers") or {}
    before = (records.kept(last.number, "layers") or {}) if last else {}
    changes = layer_changes(image, records.facts(last.image) if last else {})
    known_before = {path: size for layer in before.values() for path, size in layer["files"].items()}
    return [
        one
        | {
            "name": _name_of_layer(place, inside.get(one["diff_id"]) or before.get(one["diff_id"]) or {}),
            "files": [
                {"path": path, "bytes": size, "delta_bytes": size - known_before.get(path, 0) if last else 0}
                for path, size in list((inside.get(one["diff_id"]) or {}).get("files", {}).items())[:5]
            ],
        }
        for place, one in enumerate(changes)
    ]


def _name_of_layer(place: int, told: Mapping[str, Any]) -> str:
    """The folder that all of it is in; the base and the system are everywhere."""
    folder = str(told.get("folder", ""))
    return folder if folder not in ("", "/") else "Base" if place == 0 else "All over"


def _changes(records: Records, found: Verification, last: Verification | None, kind: str) -> dict[str, Any]:
    now = listed(records.kept(found.number, kind))
    before = listed(records.kept(last.number, kind)) if last else now
    return {"name": CALLED[kind], "count": len(now), "all": now, **vars(changes(before, now))}


def _history(records: Records, found: Verification) -> list[dict[str, Any]]:
    """Of each release before it the proof that let it out, and this one; the oldest first."""
    proofs = {one.image: one.verification for one in records.pushes() if one.verification < found.number}
    proofs.pop(found.image, None)
    released = [records.verification(number) for number in sorted(proofs.values())]
    return [
        {
            "at": one.at,
            "image": one.image,
            "verdict": one.verdict,
            "figures": records.figures(one.number),
        }
        for one in [*released, found][-MOST_RELEASES:]
    ]


def _files(folder: Path, name: str, pattern: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / name).glob(pattern))


# --- the page -------------------------------------------------------------------------------------


def _page(facts: Mapping[str, Any], folder: Path) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=_size, signed_size=_signed_size, title=_title, line=_line)
    return environment.get_template(TEMPLATE).render(
        **facts,
        plots=_plots(facts["history"]),
        shown=_shown(facts["pictures"], folder),
        told=_told(facts, folder),
        bill=_bill(facts["sbom"], folder),
    )


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} KB"


def _signed_size(size: int) -> str:
    return f"{'+' if size >= 0 else '−'}{_size(abs(size))}"


def _line(made_by: str) -> str:
    """The line of the Dockerfile, without the digest that the builder has put in the place of a name."""
    line = re.sub(r"\b(\w+):[0-9a-f]{32,}", r"\1", made_by)
    return f"{line[:110]}…" if len(line) > 110 else line


def _title(path: str) -> str:
    """`3-connected` of `pictures/3-connected.png` as words."""
    name = re.sub(r"^(\w+)-test_", r"\1: ", re.sub(r"^\d+-", "", Path(path).stem))
    words = name.removeprefix("test_").replace("_", " ").replace("-", " ")
    return f"{words[:1].upper()}{words[1:]}"


def _plots(history: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    names = [short(one["image"])[:7] for one in history]

    def series(label: str, figure: str, style: str) -> Series:
        return Series(label, [one["figures"].get(figure) for one in history], style)

    def values(line: str) -> list[float | None]:
        return [_rounded(value_of(line, one["figures"])) for one in history]

    drawn = (
        (
            "Cold start",
            "From a stopped machine to the first 200, median, beside a static server in the same image.",
            plot(
                names,
                [
                    series("workspace", "stopped -> 200: p50_ms", "one"),
                    series("static server", "stopped -> 200, static server in the same image: p50_ms", "two"),
                ],
                "ms",
            ),
        ),
        (
            "Cold start, as a ratio",
            "How many times the static server’s own start, the best of each: what the budget holds.",
            plot(names, [Series("ratio", values("cold_start_ratio"), "one")], "×"),
        ),
        (
            "Wake",
            "From a suspended machine to the first 200, median, beside the same static server.",
            plot(
                names,
                [
                    series("workspace", "suspended -> 200: p50_ms", "one"),
                    series(
                        "static server", "suspended -> 200, static server in the same image: p50_ms", "two"
                    ),
                ],
                "ms",
            ),
        ),
        (
            "Memory at rest",
            "What a workspace holds that nobody is at work in.",
            plot(names, [Series("memory", values("memory_at_rest_mb"), "one")], "MB"),
        ),
    )
    return [{"title": title, "about": about, "svg": svg} for title, about, svg in drawn if svg]


def _shown(pictures: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """The pictures themselves; first where stories that were broken have ended."""
    ordered = sorted(pictures, key=lambda one: "-end-" not in one)
    return [_picture(folder / one) | {"title": _title(one)} for one in ordered]


def _picture(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    return {
        "source": _data("image/png", content),
        "is_phone": width < PHONE_WIDTH,
        "width": width,
        "height": height,
    }


def _bill(sbom: Mapping[str, Any], folder: Path) -> str:
    """The bill of materials itself, packed, so that it goes where the page goes; not if it is too large."""
    path = folder / sbom["file"]
    if not path.is_file():
        return ""
    packed = gzip.compress(path.read_bytes(), mtime=0)
    return _data("application/gzip", packed) if len(packed) <= LARGEST_BILL else ""


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _told(facts: Mapping[str, Any], folder: Path) -> list[dict[str, str]]:
    return [
        {"title": _title(path), "text": (folder / path).read_text(encoding="utf-8", errors="replace")}
        for path in facts["transcripts"]
    ]
