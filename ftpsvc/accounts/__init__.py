"""Users, roles and quotas; the verifiers of their secrets; who may try how often to log in.

`store.Accounts` is the way in. Nothing here knows sockets or the protocol's messages.
"""
