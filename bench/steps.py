"""What a query costs the interpreter: lines of Python executed and functions called, counted.

A count does not depend on the machine, and it shows what times hide: whether a query loops over
nodes in Python. The work that numpy does inside a call counts as one step.
"""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(query: Callable[[], object]) -> int:
    """Lines executed and functions called (C functions too) by one call of the query."""
    count = 0

    def each_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return each_line

    def each_call(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    traced, profiled, collects = sys.gettrace(), sys.getprofile(), gc.isenabled()
    gc.disable()  # what others do at a collection would be counted
    sys.settrace(each_line)
    sys.setprofile(each_call)
    try:
        query()
    finally:
        sys.setprofile(profiled)
        sys.settrace(traced)
        if collects:
            gc.enable()
    return count
