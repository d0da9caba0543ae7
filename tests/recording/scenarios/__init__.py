"""What is asked, one function per story; `ALL` is the fixed list."""

from collections.abc import Callable

from tests.recording.scenarios import (
    accounting,
    lifecycle,
    limits,
    nodes,
    placement,
    queue,
    service,
    shapes,
    submit,
    update,
)
from tests.recording.session import Scenario

Story = Callable[[Scenario], None]

ALL: dict[str, Story] = {
    story.__name__: story
    for module in (
        *(service, nodes, submit, lifecycle, update, queue, placement, shapes),
        *(accounting, limits),
    )
    for story in module.STORIES
}
