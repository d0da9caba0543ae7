"""The only package that speaks to the API server.

    owner_watches   follows the kinds that stand above pods
    objects         each kind of object: rows in, patches out
    api             client, transport, credentials, reflector, events, lease

May import: `bridge.model` and the single modules below it. Nothing outside sees aiohttp or the
`kubernetes` package: every failure is one of `bridge.kube.api.errors`.

What decides is elsewhere. Here is only how: read bytes once into frozen rows, ask for exactly the
one change that was decided, say what came back.
"""
