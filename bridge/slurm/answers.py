"""What slurmrestd's answer means: pure, from bytes to "all is well" or one of our errors.

The HTTP status is used only where Slurm gives no number of its own. A warning that a field was
ignored is an error: it was asked for and did not happen.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bridge import validation
from bridge.slurm import errno
from bridge.slurm.errno import Kind
from bridge.slurm.errors import (
    AlreadyExists,
    InUse,
    InvalidRequest,
    JobEnded,
    JobNotFound,
    MalformedAnswer,
    NotAuthorised,
    NotFound,
    RateLimited,
    RejectedByPolicy,
    ServerTooOld,
    SlurmError,
    Unavailable,
)
from bridge.slurm.http import Answer
from bridge.slurm.wire.many import Many

T = TypeVar("T")
_UNKNOWN_URL = b"Unable to find requested URL endpoint"
_IGNORED = "Ignoring unknown field"
_SUBMITTED = "slurm_submit_batch_"
_SHOWN = 200
_UNNUMBERED = ("node", "partition", "reservation")
_PAGE = 4096
_MAX_PARTS = 8_000_000
"""Lists and objects in an answer, each of which takes fifty times its three bytes to read. Twenty
thousand nodes have half a million, so many jobs' history a million."""
_MAX_ENTRIES = 100_000
"""A cancel of many jobs tells of each."""
_TITLE = re.compile(rb"<title[^>]*>([^<]{0,200})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    """What was tried, as far as it changes what an answer means."""

    tried: str
    """For messages: `submitting job "train"`."""
    about: str = ""
    """job, node, partition, reservation: what is not found then."""
    safe: bool = True
    """Doing it twice is doing it once: it may be sent again when an answer is lost."""
    unspecified: Kind = Kind.UNAVAILABLE
    """What error -1 means here: slurmctld away, but for a node's definition a mistake in it."""


class _Entry(BaseModel):
    error_number: int | None = 0
    error: str | None = ""
    description: str | None = ""
    source: str | None = ""

    @property
    def number(self) -> int:
        return self.error_number or 0

    def __str__(self) -> str:
        name = errno.name_of(self.number)
        what = ": ".join(dict.fromkeys(filter(None, (self.description, self.error))))
        number = f"Slurm error {self.number}{f' {name}' if name else ''}" if self.number else ""
        where = ", ".join(filter(None, (number, self.source)))
        return f"{what} ({where})" if where else what


class _KillError(BaseModel):
    code: int = 0
    string: str = ""
    message: str = ""


class _KillStatus(BaseModel):
    error: _KillError = _KillError()
    step_id: str | None = ""


class Envelope(BaseModel):
    """What every answer has beside its content."""

    errors: Many[_Entry] = Field([], max_length=_MAX_ENTRIES)
    warnings: Many[_Entry] = Field([], max_length=_MAX_ENTRIES)
    status: Many[_KillStatus] = Field([], max_length=_MAX_ENTRIES)
    job_id: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The warnings as text."""
        return tuple(str(warning) for warning in self.warnings)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is said of a job that was taken: errors and warnings as text."""
        said = dict.fromkeys(str(one) for one in (*self.errors, *self.warnings))
        # slurmrestd says some twice, once with words of its own before Slurm's.
        return tuple(
            one for one in said if not any(one != other and one.endswith(other) for other in said)
        )


_ENVELOPE = TypeAdapter(Envelope)


def is_unknown_path(answer: Answer) -> bool:
    """This slurmrestd lacks the path: it has another version, or lacks a plugin."""
    return (
        answer.status == 404 and answer.content_type == "text/plain" and _UNKNOWN_URL in answer.body
    )


def envelope(answer: Answer, operation: Operation) -> Envelope:
    """The answer's errors and warnings, unjudged. Raises when it is not slurmrestd's JSON."""
    if answer.status == 304 and not answer.body:
        raise NotFound(f"{operation.tried}: there is no such object, nothing was changed")
    if answer.content_type != "application/json":
        raise _foreign(answer, operation)
    if (
        len(answer.body) > _MAX_PARTS
        and answer.body.count(b"[") + answer.body.count(b"{") > _MAX_PARTS
    ):
        raise malformed(answer, operation, ValueError(f"it has more than {_MAX_PARTS} parts"))
    try:
        return _ENVELOPE.validate_json(answer.body)
    except ValidationError as error:
        raise malformed(answer, operation, error) from error


def check(answer: Answer, operation: Operation) -> Envelope:
    """The envelope of an answer that is well. Raises what else it is."""
    found = envelope(answer, operation)
    problem = judge(found, answer, operation)
    if problem is not None:
        raise problem
    return found


def judge(found: Envelope, answer: Answer, operation: Operation) -> SlurmError | None:
    """The error that an envelope tells of; None when all is well."""
    if found.errors:
        entry = next((one for one in found.errors if one.number), found.errors[0])
        kind = _kind(entry, answer, operation)
        text = "; ".join(dict.fromkeys(str(one) for one in found.errors))
        return _make(
            kind, operation, text, entry.number, entry.source or "", found.words, answer.url
        )
    for warning in found.warnings:
        if _IGNORED in (warning.description or ""):
            return InvalidRequest(
                f"{operation.tried}: {warning}; this Slurm can't set it, leave it out",
                source=warning.source or "",
                warnings=found.words,
            )
    if answer.status >= 400:
        return _make(
            _kind_of_status(answer.status), operation, f"HTTP status {answer.status}", 0, "",
            found.words, answer.url,
        )  # fmt: skip
    return None


def queued_all_the_same(found: Envelope) -> bool:
    """Whether the errors are only what slurmctld says of a job that it has taken.

    slurmrestd knows which of slurmctld's words mean "accepted, but it waits", all but some: beside
    exclusive jobs it answers 500 with 7205 and the id of a job that is queued as any other. What
    is wrong with the request itself comes from its parser, and has another source.
    """
    ignored = any(_IGNORED in (warning.description or "") for warning in found.warnings)
    return (
        (found.job_id or 0) > 0
        and not ignored
        and all((one.source or "").startswith(_SUBMITTED) for one in found.errors)
    )


def killed(found: Envelope, answer: Answer, operation: Operation) -> SlurmError | None:
    """The error inside the `status` of a cancel's answer, which is 200 all the same."""
    return next((problem for _, problem in each_killed(found, answer, operation)), None)


def each_killed(
    found: Envelope, answer: Answer, operation: Operation
) -> Iterator[tuple[str, SlurmError]]:
    """The same for a cancel of several: the job's id as it was written, and what went wrong."""
    for status in found.status:
        if status.error.code:
            entry = _Entry(
                error_number=status.error.code, error=status.error.string or status.error.message
            )
            kind = _kind(entry, answer, operation)
            text = str(entry)
            yield (
                status.step_id or "",
                _make(kind, operation, text, entry.number, "", found.words, answer.url),
            )


def read(answer: Answer, operation: Operation, how: Callable[[bytes], T]) -> T:
    """`how` applied to the body; what it can't read is a MalformedAnswer."""
    try:
        return how(answer.body)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise malformed(answer, operation, error) from error


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object. Raises ValueError, also for NaN and for nesting without end."""
    found = pydantic_core.from_json(body, allow_inf_nan=False)
    if not isinstance(found, dict):
        raise ValueError(f"it is not a JSON object but a {type(found).__name__}")
    return found


def malformed(answer: Answer, operation: Operation, error: Exception) -> MalformedAnswer:
    """The error for an answer that can't be read."""
    if isinstance(error, ValidationError):
        why = validation.first_fault(error).sentence("the whole")
    else:
        why = str(error)
    return MalformedAnswer(
        f"{operation.tried}: the answer of {answer.url} can't be understood ({why[:_SHOWN]}; "
        f"status {answer.status}, {len(answer.body)} bytes, it begins "
        f"{_beginning(answer.body)}); look whether a proxy stands between"
    )


def _foreign(answer: Answer, operation: Operation) -> SlurmError:
    """slurmrestd's own plain-text answers, or something that isn't slurmrestd."""
    begins = _beginning(answer.body)
    if is_unknown_path(answer):
        return ServerTooOld(
            f"{operation.tried}: this slurmrestd has no {answer.url}; it may need a later Slurm "
            "(25.11 at least), or slurmrestd its plugins (-s slurmctld,slurmdbd,util)"
        )
    if answer.status in (401, 403, 407, 511):
        return _make(
            Kind.NOT_AUTHORISED, operation, f"{begins} (HTTP status {answer.status})", 0, "", (),
            answer.url,
        )  # fmt: skip
    if answer.status == 429:
        return RateLimited(
            f"{operation.tried}: {answer.url} wants fewer requests (HTTP status 429)",
            nothing_done=True,
        )
    if answer.content_type == "text/plain" and answer.status in (400, 413, 415):
        return InvalidRequest(
            f"{operation.tried}: slurmrestd can't read the request: {begins} "
            f"(HTTP status {answer.status})"
        )
    page = _TITLE.search(answer.body[:_PAGE])
    if "html" in answer.content_type or page:
        title = f" titled {_beginning(page[1])}" if page else ""
        return MalformedAnswer(
            f"{operation.tried}: a web page{title} came from {answer.url} (HTTP status "
            f"{answer.status}), not slurmrestd's JSON: a proxy or another server answers there; "
            "look at the endpoint's address and for a proxy between"
        )
    return MalformedAnswer(
        f"{operation.tried}: what answers at {answer.url} is not slurmrestd: HTTP status "
        f"{answer.status}, content type {answer.content_type or 'none'}, it begins {begins}; look "
        "at the endpoint's address and for a proxy between"
    )


def _kind(entry: _Entry, answer: Answer, operation: Operation) -> Kind:
    number = entry.number
    if number == errno.UNSPECIFIED:
        return operation.unspecified
    if number == errno.PERMISSION and (entry.source or "").startswith("slurm_kill_jobs"):
        return Kind.UNAVAILABLE  # what a cancel gets when slurmctld is away or hangs
    if number == errno.INVALID_NODE_NAME and operation.about == "node":
        return Kind.NOT_FOUND
    if operation.about == "reservation" and (
        number == errno.INVALID_RESERVATION
        or (entry.description or "").startswith("Unable to find reservation")
    ):
        return Kind.NOT_FOUND
    if number == errno.USER_ID_MISSING and entry.source == "slurm_update_reservation":
        return Kind.INVALID  # a user that it names is unknown, not ours
    kind = errno.kind_of(number)
    if kind is not None:
        return kind
    if number == 0 and operation.about in _UNNUMBERED and operation.safe:
        return Kind.NOT_FOUND  # "Failure to query node", without a number
    return _kind_of_status(answer.status)


def _kind_of_status(status: int) -> Kind:
    if status in (401, 403, 407, 511):
        return Kind.NOT_AUTHORISED
    if status == 404:
        return Kind.NOT_FOUND
    if status == 429:
        return Kind.RATE_LIMITED
    if status in (400, 405, 409, 413, 415, 422) or status < 400:
        return Kind.INVALID
    return Kind.UNAVAILABLE


_CLASSES = {
    Kind.INVALID: InvalidRequest,
    Kind.EXISTS: AlreadyExists,
    Kind.POLICY: RejectedByPolicy,
    Kind.NOT_AUTHORISED: NotAuthorised,
    Kind.IN_USE: InUse,
    Kind.JOB_ENDED: JobEnded,
}
_REMEDY = {
    Kind.NOT_AUTHORISED: "look whether the token is valid (not expired, made with this cluster's "
    "key) and its user a Slurm operator",
    Kind.UNAVAILABLE: "look whether slurmctld runs and answers (scontrol ping)",
    Kind.RATE_LIMITED: "slow down, or raise Slurm's limit (rl_enable, MaxJobCount)",
    Kind.IN_USE: "try again when its jobs have ended",
    Kind.POLICY: "look at the user's associations, QOS and limits, and the partition's access",
}
_REMEDY_FOR = {
    11: "Slurm is just planning with this object; try again",
    2000: "name a partition that sinfo shows",
    2014: "the partition has no such nodes, or too few of them; ask for less, or look at sinfo -N",
    2018: "name nodes that sinfo -N shows",
    2029: "name features that sinfo -o %f shows, joined by | or &",
    2048: "name licenses that scontrol show licenses shows, and no more than there are",
    2052: "the reservation is for others: name another, or have its users changed",
    2053: "name a reservation that scontrol show reservation shows",
    2055: "end or change the jobs that name it first",
    2072: "name a resource of GresTypes, written like gpu:2 or gpu:h100:2",
    2115: "write it like gres/gpu:2",
    2164: "name a group that slurmctld's host knows, or a number",
    2166: "name a user that slurmctld's host knows, or a number",
    2119: "name a type for all of that resource, or for none of it",
    2178: "name a topology of topology.yaml and a place there: its first switch has to exist, its "
    "last one to be without switches below; jobs of several nodes need nodes that have a place",
    6010: "name a user (user=…, slurm.user) that slurmrestd's host knows, with a valid token",
    9202: "correct the field that is named",
}


def _make(
    kind: Kind,
    operation: Operation,
    text: str,
    number: int,
    source: str,
    warnings: Sequence[str],
    url: str,
) -> SlurmError:
    remedy = _REMEDY_FOR.get(number) or _REMEDY.get(kind, "")
    message = f"{operation.tried}: {text}{f'; {remedy}' if remedy else ''}"
    if kind in (Kind.UNAVAILABLE, Kind.RATE_LIMITED):
        made = RateLimited if kind is Kind.RATE_LIMITED else Unavailable
        return made(
            f"{message} [{url}]",
            number=number,
            source=source,
            warnings=warnings,
            nothing_done=number in errno.NOTHING_DONE,
            by_slurm=True,
        )
    if kind is Kind.NOT_FOUND:
        found = JobNotFound if operation.about == "job" else NotFound
        return found(message, number=number, source=source, warnings=warnings)
    return _CLASSES[kind](message, number=number, source=source, warnings=warnings)


def _beginning(body: bytes) -> str:
    text = body[:_SHOWN].decode("utf-8", errors="replace")
    return repr(" ".join(text.split())[:80])
