"""What every test runs under, whatever it tests.

A scheduler that blocks its event loop, or forgets a task, works in every small test and fails in
a cluster. So here a blocking call inside the loop, a task that outlives its test, and an
exception that only the loop saw are failures of the test that caused them.
"""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import blockbuster
import grpc.aio
import hypothesis
import pytest
import structlog
from xdist.remote import Producer  # type: ignore[import-untyped]  # it has no types
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.arena.fixtures import arena, begin, stage

__all__ = ["arena", "begin", "stage"]  # fixtures of every story, wherever it stands

hypothesis.settings.register_profile(
    "bridge",
    deadline=None,  # machines are noisy; the test's own timeout holds
    derandomize=bool(os.environ.get("CI")),  # a clone is judged by the same examples each time
    print_blob=True,
)
hypothesis.settings.load_profile("bridge")


def pytest_report_header() -> str:
    """Shown above the run, so that a failure that hangs on the order of a set can be repeated."""
    return f"PYTHONHASHSEED: {os.environ.get('PYTHONHASHSEED', 'random')}"


@pytest.fixture(scope="session", autouse=True)
def _one_grpc() -> None:
    """gRPC's runtime ends with its last object, wherever the collector finds that, and waits for
    its thread: another test's loop would be blocked."""
    grpc.aio.init_grpc_aio()


@pytest.fixture(scope="session", autouse=True)
def _no_blocking_calls() -> Iterator[None]:
    """A call from `bridge` that blocks the running loop raises BlockingError."""
    with blockbuster.blockbuster_ctx("bridge"):
        yield


@pytest.fixture(autouse=True)
def _strict_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coroutine tests run in a watched loop; the others get no loop at all."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_watched_loop")
    yield
    structlog.reset_defaults()  # the one setting that is global by its library's design


@pytest.fixture
async def _watched_loop() -> AsyncIterator[None]:
    """Fails the test that leaves a task behind or an exception that nobody awaited."""
    loop = asyncio.get_running_loop()
    unseen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # what was cancelled at the test's last line may end now
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() - before if task is not mine]
    loop.set_exception_handler(None)
    if left:
        pytest.fail("the test left tasks behind:\n" + "\n".join(f"  {task!r}" for task in left))
    if unseen:
        pytest.fail("only the loop saw:\n" + "\n".join(f"  {context}" for context in unseen))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The stories of tests/flows run on either stack."""
    parser.addoption(
        "--stack",
        choices=("embedded", "real"),
        default="embedded",
        help="the stack that tests/flows runs on (real: needs root, see `make e2e`)",
    )


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Shares the stories among processes of which each has a real stack (tests/arena/real.py).

    What starts further stacks, on ports of its own, stays in one process.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "/contract/" in file:
            return "contract"
        return file if "/e2e/" in file else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """On the real stack; else what `--dist` says."""
    return Lanes(config, log) if config.getoption("--stack") == "real" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A killed bridge leaves connections half open in the embedded servers, which live in this
    process: the collector may find such a socket before its server does. Nobody's fault.

    On the real stack only what uses it is run; the rest of tests/hostile is `make test`'s.
    """
    if config.getoption("--stack") == "real":
        config.hook.pytest_deselected(items=[one for one in items if not _is_for_real(one)])
        items[:] = filter(_is_for_real, items)
    tolerant = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if {"flows", "hostile"} & set(item.path.parts):
            item.add_marker(tolerant)


def _is_for_real(item: pytest.Item) -> bool:
    return "hostile" not in item.path.parts or "arena" in getattr(item, "fixturenames", ())
