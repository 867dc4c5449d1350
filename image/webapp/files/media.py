"""What a browser may show as it is, and under which rules: nothing of it runs on the page's own origin."""

from pathlib import PurePosixPath

SHOWN = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
TABLES = frozenset({"csv", "tsv", "xlsx", "xlsm", "xlsb", "xls", "ods"})
PAGES = frozenset({".html", ".htm", ".xhtml"})

_INERT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
_LIVELY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; media-src data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def view_type(name: str) -> str | None:
    """The type under which a file is shown; None if it is not."""
    return SHOWN.get(PurePosixPath(name).suffix.lower())


def table_kind(name: str) -> str | None:
    kind = PurePosixPath(name).suffix.lower().removeprefix(".")
    return kind if kind in TABLES else None


def view_headers(content_type: str) -> dict[str, str]:
    """For a picture, film or document. Not every browser's PDF reader starts in a sandbox; each is one."""
    sandbox = "" if content_type == "application/pdf" else "; sandbox"
    return _framed(_INERT + sandbox)


def page_headers(in_frame: bool) -> dict[str, str]:
    """For an HTML file: an origin of its own, no network.

    Its scripts run only in a frame of the page, whose policy keeps them from going elsewhere.
    """
    return _framed(f"{_LIVELY}; sandbox allow-scripts" if in_frame else f"{_INERT}; sandbox")


def _framed(policy: str) -> dict[str, str]:
    return {
        "content-security-policy": policy,
        "x-frame-options": "SAMEORIGIN",
        "x-content-type-options": "nosniff",
        "x-dns-prefetch-control": "off",
    }
