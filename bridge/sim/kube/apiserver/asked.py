"""What a request asks for: its body, its selectors, its DeleteOptions."""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml
from aiohttp import web

from bridge.sim.kube.apiserver import failure, selectors
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.paths import Place
from bridge.sim.kube.apiserver.watching import View

MOST_SENT: Final = 3 * 1024 * 1024
"""Bytes of a request's body."""


def view(place: Place, query: Mapping[str, str]) -> View:
    """What a list or watch is to show. Raises a 400 for a selector that makes no sense."""
    fields = selectors.parse_fields(query.get("fieldSelector", ""))
    known = place.kind.rules.field_names | {"metadata.name", "metadata.namespace"}
    for requirement in fields.requirements:
        if requirement.key not in known:
            raise failure.bad_request(f"field label not supported: {requirement.key}")
    if place.name:
        named = selectors.parse_fields(f"metadata.name={place.name}")
        fields = selectors.Selector((*fields.requirements, *named.requirements))
    return View(
        place.kind,
        place.namespace,
        selectors.parse_labels(query.get("labelSelector", "")),
        fields,
    )


async def document(request: web.Request) -> Any:
    """The body, parsed (JSON or YAML); None when it is empty. Raises a 400, 413 or 415."""
    try:
        text = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise failure.body_too_large(MOST_SENT) from None
    if not text:
        return None
    try:
        if "yaml" in request.content_type:
            return yaml.safe_load(text)
        if "protobuf" in request.content_type:
            raise ApiFailure(
                415, "UnsupportedMediaType", "protobuf is not spoken here; send application/json"
            )
        return json.loads(text)
    except (ValueError, yaml.YAMLError, RecursionError) as problem:
        raise failure.bad_request(f"the object provided is unrecognized: {problem}") from problem


async def body(request: web.Request, kind: Kind | None = None) -> Object:
    """The body, which must be an object (of `kind`, for the message).

    Raises a 400, 413 or 415.
    """
    found = await document(request)
    if not isinstance(found, dict):
        wanted = f" (must be of type {kind.kind})" if kind else ""
        raise failure.bad_request(
            f"the object provided is unrecognized{wanted}: couldn't get version/kind; json parse "
            "error: the body is not an object"
        )
    return found


def delete_options(query: Mapping[str, str], body: Object) -> Object:
    """DeleteOptions of body and query together; the query wins."""
    options = dict(body)
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = whole(query, "gracePeriodSeconds")
    for name in ("propagationPolicy", "dryRun"):
        if query.get(name):
            options[name] = query[name]
    if query.get("orphanDependents"):
        options["orphanDependents"] = query["orphanDependents"] in ("1", "true")
    return options


def whole(query: Mapping[str, str], name: str) -> int:
    """A whole number of the query, 0 when it is not there. Raises a 400."""
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise failure.bad_request(
            f'unable to decode {name}: strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from None
