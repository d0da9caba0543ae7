"""The only package that speaks to the API server: client, reflector, rows in, patches out.

May import: `bridge.model` and the single modules below it. Nothing outside sees aiohttp or the
`kubernetes` package: every failure is one of `bridge.kube.errors`.

What decides is elsewhere. Here is only how: read bytes once into frozen rows, ask for exactly the
one change that was decided, say what came back.
"""
