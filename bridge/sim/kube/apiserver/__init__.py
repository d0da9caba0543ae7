"""The API server: `core.ApiServer` is the whole of it without a socket, `http` puts it on one.

Wire JSON (plain dicts) is the model on purpose: what clients send and get is what is kept, so
no field is lost that nobody here knows. Objects in the store are never changed in place.
"""
