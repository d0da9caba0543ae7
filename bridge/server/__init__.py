"""How the outside reaches us: HTTPS for webhook and extender, plain HTTP for probes and metrics.

Routes are handed in as plain functions, bytes in, status and bytes out: nothing here knows what an
admission review is, and nothing else knows aiohttp, TLS or sockets.

    addresses     host:port → listening sockets, IPv4 and IPv6
    tls           certificate files → SSL context, swapped when the files change
    certificates  a CA, our server certificate and kube-scheduler's, made by ourselves
    metrics       what is counted of requests
    https         the HTTPS server
    probes        /livez, /readyz, /metrics

May import what is below it; the packages that answer the calls don't import it.
"""
