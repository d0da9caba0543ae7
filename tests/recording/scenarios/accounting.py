"""Accounts, users, associations, QOS: how they are made, shown, changed and removed."""

from tests.recording.scenarios import books
from tests.recording.session import Scenario


def accounting_tables(s: Scenario) -> None:
    """What slurmdbd answers to whoever reads, makes, changes and removes."""
    s.enforced = books.ENFORCED
    _nothing_yet(s)
    _accounts(s)
    _users(s)
    _changes(s)
    _quality(s)
    _ends(s)


def _nothing_yet(s: Scenario) -> None:
    """The empty tables, and what isn't in them."""
    for path in ("ping/", "tres/", "accounts/", "users/", "users/?with_assocs", "associations/",
                 "qos/", "account/root", "user/root?with_assocs", "qos/normal"):  # fmt: skip
        books.read(s, path)
    for noun in ("account", "user", "qos", "job", "association"):
        books.read(s, f"{noun}/4711")
    for noun in ("account", "user", "qos"):
        books.delete(s, f"{noun}/nope")
    books.read(s, "associations/?account=nope")
    books.delete(s, "associations/?account=nope")


def _accounts(s: Scenario) -> None:
    """Accounts below others, and mistakes."""
    books.account(s, "physics", fairshare=3, grptres=books.tres(gres_gpu=16), qoslevel=["normal"])
    books.account(s, "physics", when="again")
    books.account(
        s, "optics", parent="physics", maxjobs=books.number(5), maxsubmitjobs=books.number(9)
    )
    books.account(s, "orphan", parent="nope")
    books.account(s, "unlisted", qoslevel=["nope"])
    books.account(s, "uncounted", grptres=books.tres(gres_tpu=1))
    books.account(s, "unasked", bogus=3)
    books.account(s, "unread", fairshare="many")
    condition = {"accounts": ["elsewhere"], "clusters": ["nope"], "association": {}}
    s.step("account elsewhere", "POST", books.NEW_ACCOUNT, {"association_condition": condition})
    s.step(
        "account without a name",
        "POST",
        books.NEW_ACCOUNT,
        {"association_condition": {"association": {}}},
    )
    s.step("account without condition", "POST", books.NEW_ACCOUNT, {"account": {}})
    s.step("account that is a list", "POST", books.NEW_ACCOUNT, [1])
    for path in ("accounts/", "account/physics", "associations/?account=optics", "associations/",
                 "account/physics?with_assocs"):  # fmt: skip
        books.read(s, path, when="with physics")


def _users(s: Scenario) -> None:
    """Users in accounts; their limits are those of the account where they have none."""
    books.user(s, "marie", "nope")
    books.user(s, "marie", "physics", fairshare=5, maxjobs=books.number(2),
          maxwalldurationperjob=books.number(90),
          maxtresperjob=books.tres(cpu=8, gres_gpu=4))  # fmt: skip
    books.user(s, "marie", "physics", when="again")
    books.user(s, "marie", "optics")
    books.user(s, "pierre", "optics", defaultqos="nope")
    books.user(s, "pierre", "optics", defaultqos="normal")
    for path in ("users/", "users/?with_assocs", "user/marie", "user/marie?with_assocs",
                 "associations/?user=marie", "associations/?user=marie&account=physics",
                 "associations/?account=physics", f"associations/?cluster={books.CLUSTER}",
                 "associations/?cluster=nope", "associations/?partition=nope"):  # fmt: skip
        books.read(s, path, when="with marie")


def _changes(s: Scenario) -> None:
    """An association changed: its TRES limits are what was sent last."""
    books.change(s, "change marie", "marie", "physics", max={
        "jobs": {"total": books.number(9)},
        "tres": {"per": {"job": books.tres(cpu=6)}, "total": books.tres(mem=9)},
    })  # fmt: skip
    books.read(s, "associations/?user=marie&account=physics", when="changed")
    books.change(s, "lift marie's", "marie", "physics", shares_raw=1, max={
        "jobs": {"active": {"set": False, "infinite": True, "number": 0}},
        "tres": {"per": {"job": books.tres(cpu=-1)}},
    })  # fmt: skip
    books.read(s, "associations/?user=marie&account=physics", when="lifted")
    books.change(s, "change nobody", "nobody-here", "physics", shares_raw=2)
    books.read(s, "associations/?user=nobody-here")
    books.change(s, "change nothing", "marie", "physics")
    books.change(s, "change with a wrong default QOS", "marie", "physics", default={"qos": "nope"})
    books.change(s, "change of an unknown account", "marie", "nope", shares_raw=2)
    books.change(s, "change no list", "marie", "physics", qos=[])
    books.change(s, "change with a wrong QOS", "marie", "physics", qos=["nope"])
    books.change(s, "change with a wrong field", "marie", "physics", bogus=1)
    s.step("change without a list", "POST", books.ASSOCIATIONS, {})


def _quality(s: Scenario) -> None:
    """QOS made, changed, made somebody's default, removed."""
    books.qos(s, "urgent", description="soon", priority=books.number(100), flags=["DENY_LIMIT"],
         preempt={"list": ["normal"]}, limits={"grace_time": 30, "max": {
             "active_jobs": {"count": books.number(7)},
             "jobs": {"active_jobs": {"per": {"user": books.number(2)}},
                      "per": {"user": books.number(4)}},
             "tres": {"total": books.tres(gres_gpu=64),
                      "per": {"job": books.tres(cpu=8)}}}})  # fmt: skip
    books.read(s, "qos/urgent", when="new")
    books.qos(s, "urgent", when="changed", usage_factor=books.number(0.5), limits={"max": {
        "wall_clock": {"per": {"job": books.number(60)}},
        "tres": {"per": {"user": books.tres(cpu=8)}}}})  # fmt: skip
    books.qos(s, "plain")
    books.qos(s, "plain", when="with flags", flags=["NO_DECAY", "DENY_LIMIT"])
    books.qos(s, "plain", when="as it is", flags=["NOT_SET"])
    books.read(s, "qos/plain", when="as it was")
    books.qos(s, "plain", when="with less", flags=["REMOVE", "NO_DECAY"])
    books.qos(s, "plain", when="with more", flags=["ADD", "NO_RESERVE"])
    books.read(s, "qos/plain", when="with others")
    books.qos(s, "odd", flags=["NOPE"])
    s.step("qos without a name", "POST", books.QOS, {"qos": [{"description": "nameless"}]})
    books.qos(s, "odd", preempt={"list": ["nope"]})
    books.qos(s, "odd", bogus=1)
    s.step("qos without a list", "POST", books.QOS, {})
    for path in ("qos/", "qos/urgent", "qos/odd"):
        books.read(s, path, when="made")
    books.change(s, "give marie QOS", "marie", "physics", qos=["normal", "urgent"],
            default={"qos": "urgent"})  # fmt: skip
    books.read(s, "associations/?user=marie&account=physics", when="with QOS")
    books.delete(s, "qos/urgent", when="in use")
    books.read(s, "associations/?user=marie&account=physics", when="without QOS")
    books.delete(s, "qos/plain")
    books.delete(s, "qos/odd")


def _ends(s: Scenario) -> None:
    """All goes again."""
    books.delete(s, "associations/?user=marie&account=physics")
    books.delete(s, "associations/?user=marie&account=optics")
    books.read(s, "user/marie?with_assocs", when="nowhere")
    books.delete(s, "associations/?user=marie")
    books.delete(s, "user/marie")
    books.delete(s, "account/physics", when="with children")
    books.delete(s, "account/optics")
    books.delete(s, "account/physics")
    books.read(s, "users/?with_assocs", when="at the end")
    books.delete(s, "user/pierre")
    for path in ("accounts/", "users/", "associations/", "qos/"):
        books.read(s, path, when="at the end")
    for account in ("unlisted", "uncounted", "unasked", "orphan"):
        books.delete(s, f"account/{account}")


STORIES = (accounting_tables,)
