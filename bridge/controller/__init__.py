"""Drives the gangs: performs what their machines decide, and tells them what came of it.

May import `lifecycle`, `jobs`, `state` and what lies below; never `admission`, `extender` or
`nodes`.
"""
