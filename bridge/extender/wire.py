"""kube-scheduler's calls (k8s.io/kube-scheduler/extender/v1) and our answers, as JSON.

A call carries the whole pod and, for a pod that is not pinned, every node's name: 600 KB for
15,000 nodes. The only questions asked of the names are "is this one among them?" and "how many?",
so they stay bytes: the head of the body is parsed, the list is searched, and of its JSON only what
is found is looked at (even counting 15,000 names costs more than reading the call). That rests on
how Go writes the struct (fields in their order, no spaces); a body of any other form is parsed
whole, to the same result.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import pydantic_core
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge import validation
from bridge.errors import BadInput
from bridge.model.ids import NodeName, PodUid

_NAMES = b',"Nodes":null,"NodeNames":['
_END = b"]}"
_QUOTE = ord('"')
_quoted = json.encoder.encode_basestring_ascii
"""A JSON string; several times faster than json.dumps for one."""


class Candidates(Protocol):
    """The nodes of a call."""

    def __len__(self) -> int: ...

    def __contains__(self, name: object) -> bool: ...

    def first(self, count: int) -> Sequence[NodeName]:
        """At most so many of them, from the beginning."""


@dataclass(frozen=True, slots=True)
class RawNames:
    """Names as they stand in the body: `"a","b"` from `begin` to `end`, nothing escaped in them."""

    body: bytes
    begin: int
    end: int

    def __len__(self) -> int:
        return self.body.count(b'"', self.begin, self.end) // 2

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or '"' in name:
            return False
        quoted = f'"{name}"'.encode()
        at = self.body.find(quoted, self.begin, self.end)
        return at >= 0 and self._is_an_item(at, at + len(quoted))

    def first(self, count: int) -> Sequence[NodeName]:
        found: list[NodeName] = []
        at = self.begin
        while at < self.end and len(found) < count:
            close = self.body.find(b'"', at + 1, self.end)
            if close < 0:
                break
            found.append(NodeName(self.body[at + 1 : close].decode("utf-8", "replace")))
            at = close + 2
        return found

    def _is_an_item(self, begin: int, end: int) -> bool:
        """Between commas, or the list's brackets."""
        return self.body[begin - 1] in b"[," and self.body[end] in b"],"


@dataclass(frozen=True, slots=True)
class ParsedNames:
    """Names that were parsed."""

    names: tuple[NodeName, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def first(self, count: int) -> Sequence[NodeName]:
        return self.names[:count]


@dataclass(frozen=True, slots=True)
class FilterCall:
    """What `filter` and `prioritize` are asked.

    `objects` are the Node objects of a kube-scheduler without `nodeCacheCapable`; it must get
    objects back. None with it.
    """

    uid: PodUid
    pod: str
    """namespace/name, for people."""
    candidates: Candidates
    objects: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class BindCall:
    """What `bind` is asked."""

    uid: PodUid
    namespace: str
    name: str
    node: NodeName


class _Partial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Metadata(_Partial):
    uid: str = Field(min_length=1)
    name: str = ""
    namespace: str = ""


class _Pod(_Partial):
    metadata: _Metadata


class _Head(_Partial):
    """The body without its names."""

    pod: _Pod = Field(alias="Pod")


class _NodeName(_Partial):
    name: str


class _Node(_Partial):
    metadata: _NodeName


class _NodeList(_Partial):
    items: Annotated[list[dict[str, Any]], BeforeValidator(lambda value: value or [])] = []


class _Args(_Head):
    nodes: _NodeList | None = Field(default=None, alias="Nodes")
    node_names: list[str] | None = Field(default=None, alias="NodeNames")


class _BindingArgs(_Partial):
    name: str = Field(alias="PodName", min_length=1)
    namespace: str = Field(alias="PodNamespace", min_length=1)
    uid: str = Field(alias="PodUID", min_length=1)
    node: str = Field(alias="Node", min_length=1)


def filter_call(body: bytes) -> FilterCall:
    """Reads ExtenderArgs. Raises BadInput for what has another form."""
    return _as_go_writes_it(body) or _any_form(body)


def prioritize_call(body: bytes) -> tuple[PodUid, tuple[NodeName, ...]]:
    """Reads ExtenderArgs, each name of it: the pod and the candidates. Raises BadInput."""
    call = _any_form(body)
    return call.uid, tuple(call.candidates.first(len(call.candidates)))


def bind_call(body: bytes) -> BindCall:
    """Reads ExtenderBindingArgs. Raises BadInput for anything else."""
    try:
        args = _BindingArgs.model_validate(pydantic_core.from_json(body))
    except ValueError as error:
        raise _bad_body("ExtenderBindingArgs", error) from None
    return BindCall(
        uid=PodUid(args.uid), namespace=args.namespace, name=args.name, node=NodeName(args.node)
    )


def _as_go_writes_it(body: bytes) -> FilterCall | None:
    """None when the body has another form (right or wrong)."""
    at = body.find(_NAMES)
    begin, end = at + len(_NAMES), len(body) - len(_END)
    if at < 0 or not body.endswith(_END) or not _plain_strings(body, begin, end):
        return None
    try:
        head = _Head.model_validate_json(body[:at] + b"}")
    except ValueError:
        return None
    return _call(head, RawNames(body, begin, end))


def _plain_strings(body: bytes, begin: int, end: int) -> bool:
    """Whether these bytes can be strings between commas, with nothing escaped in them."""
    if begin == end:
        return True
    if body[begin] != _QUOTE or body[end - 1] != _QUOTE or end - begin < 2:
        return False
    return all(body.find(sign, begin, end) < 0 for sign in (b"\\", b"]", b"{"))


def _any_form(body: bytes) -> FilterCall:
    try:
        args = _Args.model_validate(pydantic_core.from_json(body))
        if args.nodes is None:
            return _call(args, ParsedNames(tuple(map(NodeName, args.node_names or ()))))
        objects = args.nodes.items
        names = tuple(NodeName(_Node.model_validate(node).metadata.name) for node in objects)
    except ValueError as error:
        raise _bad_body("ExtenderArgs", error) from None
    return _call(args, ParsedNames(names), objects)


def _call(
    head: _Head, candidates: Candidates, objects: Sequence[dict[str, Any]] | None = None
) -> FilterCall:
    metadata = head.pod.metadata
    return FilterCall(
        uid=PodUid(metadata.uid),
        pod=f"{metadata.namespace}/{metadata.name}",
        candidates=candidates,
        objects=objects,
    )


def _bad_body(kind: str, error: ValueError) -> BadInput:
    if isinstance(error, ValidationError):
        said = validation.first_fault(error).sentence("body")
    else:
        said = str(error)
    return BadInput(f"the body is no {kind} of kube-scheduler's extender API v1: {said}")


def filter_result(
    *,
    passed: NodeName,
    objects: Sequence[dict[str, Any]] | None,
    refused: Sequence[NodeName],
    why: str,
) -> bytes:
    """ExtenderFilterResult for the node that passes and those that don't, all for one reason."""
    reason = _quoted(why)
    refusals = ",".join([f"{_quoted(name)}:{reason}" for name in refused])
    if objects is None:
        through = f'"NodeNames":[{_quoted(passed)}]'
    else:
        through = f'"Nodes":{json.dumps({"items": objects})}'
    return f'{{{through},"FailedAndUnresolvableNodes":{{{refusals}}}}}'.encode()


def error(sentence: str) -> bytes:
    """ExtenderFilterResult or ExtenderBindingResult of a call that ends in an error."""
    return json.dumps({"Error": sentence}).encode()


def bound() -> bytes:
    """ExtenderBindingResult of a pod that is bound."""
    return b'{"Error":""}'


def priorities(names: Sequence[NodeName], scores: Sequence[int]) -> bytes:
    """HostPriorityList."""
    return json.dumps(
        [{"Host": name, "Score": score} for name, score in zip(names, scores, strict=True)]
    ).encode()
