"""Points in time and lengths of time, for people."""

from datetime import UTC, datetime

_UNITS = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))


def at(epoch_s: float) -> str:
    """A point in time, in UTC."""
    try:
        return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return "in the far future"


def about(seconds: float) -> str:
    """A length of time in its two largest units: "2 h 5 min", "3 days"."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or (parts and len(parts) == 1):
            plural = "s" if unit == "day" and count != 1 else ""
            parts.append(f"{count} {unit}{plural}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or "0 s"


def ahead(epoch_s: float, now_s: float) -> str:
    """A point in time that is to come, with how far away it is."""
    left = epoch_s - now_s
    if left < 1:
        return f"{at(epoch_s)} (now)"
    return f"{at(epoch_s)} (in {about(left)})"


def clock(seconds: float) -> str:
    """A length of time as squeue writes it: 1-02:03:04, 5:06."""
    left = max(0, round(seconds))
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes, left = divmod(left, 60)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{left:02}"
    if hours:
        return f"{hours}:{minutes:02}:{left:02}"
    return f"{minutes}:{left:02}"
