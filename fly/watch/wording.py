"""Lengths of time, sizes and shares, as people read them."""


def span(seconds: float) -> str:
    """`3 s`, `5 min`, `2 h`, `3 days`"""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 100 * 60:
        return f"{round(whole / 60)} min"
    if whole < 48 * 3600:
        return f"{round(whole / 3600)} h"
    return f"{round(whole / 86400)} days"


def size(count: float) -> str:
    """`140 KB`, `12 MB`, `1.4 GB`. *Units*: bytes, in powers of 1024"""
    if count < 1000 << 10:
        return f"{count / (1 << 10):.0f} KB"
    if count < 1000 << 20:
        return f"{count / (1 << 20):.0f} MB"
    return f"{count / (1 << 30):.1f} GB"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"
