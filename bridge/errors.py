"""The tree of what can go wrong, with a class only for what somebody catches.

    BridgeError
     ├── ConfigError           the settings are wrong                     exit 2
     ├── BadInput              a user's object asks for what can't be      told on that object
     │                         (message: what is wrong, accepted forms, what to do)
     ├── InternalError         the bridge's own mistake at one object     told there; retried
     ├── Unreadable            a file can't be read now                    told by whoever needs it
     └── Unreachable           Slurm or Kubernetes does not answer         retried; exit 3 at start

`bridge.slurm` and `bridge.kube` hang their own trees below these at their own edges, so that
nothing above them sees httpx2 or aiohttp. Every message says what was tried, on what object,
what came back and what to do about it.
"""

from typing import Final


class BridgeError(Exception):
    """The root: anything this project raises on purpose."""


class ConfigError(BridgeError):
    """The settings can't be used; the message names file, line and key."""


class BadInput(BridgeError):
    """A user's object asks for something that can't be done.

    `field` is the path of the offending field (`metadata.annotations[...]`, `spec...`), so that
    the message can be shown where the user looks. Both are cut where a user's text has made them
    longer than anybody reads: they go into logs, conditions and events.
    """

    LONGEST: Final = 2000
    """Characters of a message."""
    LONGEST_FIELD: Final = 500

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(_cut(message, self.LONGEST))
        self.field = _cut(field, self.LONGEST_FIELD)


class InternalError(BridgeError):
    """The bridge failed at an object by a mistake of its own, which is the cause of this error."""


class Unreadable(BridgeError):
    """A file that we need can't be read: it is missing, no regular file, too large, or hangs; the
    same reading may succeed later."""


class Unreachable(BridgeError):
    """A service that we need does not answer; the same request may succeed later."""


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 2] + " …"
