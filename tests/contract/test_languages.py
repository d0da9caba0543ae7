"""Slurm's small languages: what sbatch and scontrol make of a text, and what we do."""

from collections import Counter
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.slurm import gres, hostlist, memory, timelimit
from tests.contract.ground import Ground, a_job
from tests.e2e.stack import Stack
from tests.e2e.stack.errors import CommandFailed

pytestmark = pytest.mark.only_real("the emulator has no sbatch and no scontrol")

_drawn = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def _asked(stack: Stack | None, option: str) -> dict[str, str] | None:
    """What scontrol shows of a held job with that option; None where sbatch refuses it."""
    assert stack is not None
    try:
        job_id = stack.slurm(
            "sbatch", "--parsable", "--hold", "--partition=debug", "--job-name=languages",
            "--chdir=/tmp", "--mem=1", "--ntasks=1", option, "--wrap=true",
        ).strip()  # fmt: skip
    except CommandFailed:
        return None
    try:
        shown = stack.slurm("scontrol", "show", "job", job_id)
    finally:
        stack.slurm("scancel", job_id)
    words = (word.partition("=") for word in shown.split())
    return {key: value for key, _, value in words}


_NUMBER = st.integers(0, 130).map(str) | st.sampled_from(["00", "059", "99999"])
_TIMES = (
    st.builds(":".join, st.lists(_NUMBER, min_size=1, max_size=4))
    | st.builds("{}-{}".format, _NUMBER, st.builds(":".join, st.lists(_NUMBER, max_size=4)))
    | st.text("0123456789:-", max_size=6)
    | st.sampled_from(["unlimited", "INFINITE", "-1", "UNLIM", "1d", "1.5", " 5", "5 ", "٣", "0x9"])
)


@_drawn
@given(text=_TIMES)
def test_time_limits(stack: Stack | None, text: str) -> None:
    """The same minutes, the same refusals; but sbatch takes -5 and 99999-0, and makes others of
    them."""
    ours = None
    try:
        ours = timelimit.format(timelimit.parse(text))
    except BadInput as error:
        if text.startswith("-") or "longer than" in str(error):
            return
    found = _asked(stack, f"--time={text}")
    assert ours == (None if found is None else found["TimeLimit"])


_SIZES = st.builds(
    "{}{}{}".format,
    st.integers(0, 4096) | st.sampled_from(["007", "1048577", "+", "x"]),
    st.sampled_from([*"KMGTkmgt", "", "X", "E"]),
    st.sampled_from(["", "", "", "B", "b", "iB"]),
) | st.text("0123456789KMGTBi", max_size=5)


@_drawn
@given(text=_SIZES)
def test_memory_sizes(stack: Stack | None, text: str) -> None:
    """The same MiB, the same refusals. Beyond sbatch we read what Slurm writes: 1.50G, 4P."""
    ours: int | None = None
    with suppress(BadInput):
        ours = memory.parse(text)
    found = _asked(stack, f"--mem={text}")
    assert ours == (None if found is None else memory.parse(found["MinMemoryNode"]))


@pytest.mark.parametrize("mib", [1, 1000, 1024, 1536, 64_000, 64_001, 1_572_864, 10_485_761])
async def test_memory_as_slurm_writes_it(ground: Ground, mib: int) -> None:
    """A number that was sent as such is read from the TRES of the job."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        comment = nodes[0].split("-")[1]
        job = a_job(nodes[0], hold=True, comment=comment, memory_per_cpu_mib=mib, partition="debug")
        job_id = await client.submit(job, recover=False)
        tres = gres.parse_tres((await client.get_job(job_id)).raw["tres_req_str"])
        assert memory.parse(tres["mem"]) == mib
        await client.cancel_job(job_id)


_GPUS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["gpu", "gpu", "gpu", "g pu", ""]),
    st.sampled_from(["", "", ":h100", ":a100", ":", ":2", "=x"]),
    st.sampled_from(
        ["", ":1", ":2", ":07", "=2", ":1K", "=2k", ":1KB", "=1KB", ":1KiB", ":1.5", ":-1"]
    ),
)
_BESIDE = st.lists(st.sampled_from(["", "efa", "efa:2", "efa=2", "efa:"]), max_size=2)


@pytest.mark.parametrize("form", ["--gres={}", "--tres-per-task={}"])
@_drawn
@given(gpus=_GPUS, before=_BESIDE, after=_BESIDE)
def test_gres(
    stack: Stack | None, form: str, gpus: str, before: list[str], after: list[str]
) -> None:
    """As many GPUs, in all and of the type; the same refusals. A job's TRES need their prefix."""
    prefix = "gres/" if "tres" in form else ""
    text = ",".join(f"{prefix}{one}" if one else "" for one in (*before, gpus, *after))
    found = _asked(stack, form.format(text))
    try:
        parsed = gres.parse(text)
    except BadInput:
        assert found is None
        return
    assert found is not None
    ours = Counter[str]()
    for one in parsed:
        ours.update({f"gres/{one.name}": one.count, f"gres/{one.name}:{one.type}": one.count})
    theirs = gres.parse_tres(found["ReqTRES"])
    for name in ("gres/gpu", "gres/gpu:h100"):
        assert ours[name] == int(theirs.get(name, 0))


_PLAIN = st.sampled_from(["n", "ip-10-0-", "", "n1", "x.y", "a-"])
_BRACKET = st.builds(
    "[{}]".format,
    st.builds(
        ",".join, st.lists(st.builds("{}-{}".format, _NUMBER, _NUMBER) | _NUMBER, max_size=3)
    ),
)
_HOSTS = st.builds(
    ",".join,
    st.lists(
        st.builds("{}{}{}".format, _PLAIN, _BRACKET | st.just(""), _BRACKET | _PLAIN), max_size=3
    ),
) | st.text("n[0129-,.", max_size=8)


@_drawn
@given(text=_HOSTS.filter(lambda text: not text.startswith("-")))
def test_host_lists(stack: Stack | None, text: str) -> None:
    """The same names in the same order; for what is none, scontrol names nobody."""
    assert stack is not None
    theirs = stack.slurm("scontrol", "show", "hostnames", text).split()
    try:
        assert list(hostlist.expand(text)) == theirs
    except BadInput:
        assert theirs == []
