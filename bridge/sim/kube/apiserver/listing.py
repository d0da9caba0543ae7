"""Lists: selectors, pages that stay consistent, the resourceVersion that a watch goes on from."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from bridge.sim.kube.apiserver import failure
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.store import Store, Stored
from bridge.sim.kube.apiserver.watching import View

_KEPT_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list as it was at `version`."""

    items: tuple[Stored, ...]
    version: int
    token: str = ""
    remaining: int = 0


class Lists:
    """Hands out pages; what a continue token stands for is kept until it is used or too old."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rest: OrderedDict[str, tuple[tuple[Stored, ...], int]] = OrderedDict()

    def first(self, view: View, *, limit: int = 0, version: str = "", match: str = "") -> Page:
        """The first page (all of it when `limit` is 0).

        Raises a 410 for an exact version that is past, a 504 for one that is still to come.
        """
        asked = number(version)
        check_not_ahead(asked, self._store.version)
        if match == "Exact" and asked and asked < self._store.version:
            raise failure.expired(f"The resourceVersion for the provided list is too old: {asked}")
        return self._cut(tuple(view.scan(self._store)), self._store.version, limit)

    def rest(self, token: str, *, limit: int = 0) -> Page:
        """The page that `token` stands for. Raises a 410 when it is not known (any more)."""
        found = self._rest.get(token)
        if found is None:
            raise failure.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You must start a new list without the continue parameter."
            )
        return self._cut(found[0], found[1], limit)

    def forget(self) -> None:
        """All tokens expire, as after a compaction."""
        self._rest.clear()

    def _cut(self, items: tuple[Stored, ...], version: int, limit: int) -> Page:
        if not limit or len(items) <= limit:
            return Page(items, version)
        token = secrets.token_urlsafe(12)
        self._rest[token] = (items[limit:], version)
        while len(self._rest) > _KEPT_TOKENS:
            self._rest.popitem(last=False)
        return Page(items[:limit], version, token, len(items) - limit)


def check_not_ahead(asked: int, current: int) -> None:
    """Refuse (504) a version that this server has not reached."""
    if asked > current:
        raise ApiFailure(
            504,
            "Timeout",
            f"Timeout: Too large resource version: {asked}, current: {current}",
            details={
                "causes": [
                    {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
                ],
                "retryAfterSeconds": 1,
            },
            retry_after_s=1,
        )


def number(version: str) -> int:
    """A resourceVersion as a number, 0 when it is empty. Raises a 400."""
    if version and not version.isdigit():
        raise failure.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{version}": '
            f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
    return int(version or 0)
