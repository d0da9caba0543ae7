"""How the outside reaches us: HTTPS for webhook and extender, plain HTTP for probes and metrics.

Routes are handed in as plain functions, bytes in, status and bytes out: nothing here knows what an
admission review is, and nothing else knows aiohttp, TLS or sockets.

    addresses     host:port → listening sockets, IPv4 and IPv6
    tls           certificate files → SSL context, swapped when the files change
    certificates  a CA, our server certificate and kube-scheduler's, made by ourselves
    metrics       what is counted of requests
    connections   which connections may stay, and how long each stage may take; pure
    budget        the memory of all requests in flight; pure
    turns         who goes next when many wait; pure
    turnstile     whose call is handled in this pass of the event loop
    listener      sockets, handshakes and HTTP, under all these limits
    cuts          connections that were cut are counted and told
    descriptors   the limit of open files
    https         the HTTPS server
    probes        /livez, /readyz, /metrics

May import what is below it; the packages that answer the calls don't import it.
"""
