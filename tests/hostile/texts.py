"""What a hostile author writes where a text is wanted."""

from hypothesis import strategies as st

from bridge.model.gang import Dependency, JobParameters

_ANY = st.characters(exclude_categories=())
"""Every character, lone surrogates too."""

SAMPLES = (
    "..",
    "../../../etc/cron.d",
    "//",
    "/",
    "-rf",
    "~root",
    "a\nSlurmUser=root",
    "a\r\x1b[2J",
    "\x00",
    "\x01" * 800,
    "\u202emoor",
    "\ud800",
    '"}}',
    "\\",
    "%j%u",
    "訓練" * 2000,
    "🔥" * 400,
    "a\u0301" * 3000,
    "x" * 100_000,
)

texts = (
    st.sampled_from(SAMPLES)
    | st.text(_ANY, min_size=1)
    | st.builds(lambda one, times: one * times, _ANY, st.integers(1, 5000))
    | st.lists(st.sampled_from(SAMPLES), min_size=2, max_size=4).map("/".join)
)
"""Any text that is not empty, as the API server takes it in an owner reference."""

maybe = st.just("") | texts

parameters = st.builds(
    JobParameters,
    account=maybe,
    constraints=st.just("") | st.lists(st.sampled_from("xyz"), min_size=1).map("&".join),
    dependency=st.lists(
        st.integers(1, 2**31).map(lambda number: Dependency("after", str(number))), max_size=3
    ).map(tuple)
    | st.just(tuple(Dependency("after", str(number)) for number in range(10**9, 10**9 + 20_000))),
    group_id=maybe,
    job_name=maybe,
    licenses=maybe,
    partition=maybe,
    qos=maybe,
    reservation=maybe,
    user_id=maybe,
    wckey=maybe,
)
"""As if nothing had checked the annotations."""
