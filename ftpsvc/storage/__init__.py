"""Whatever keeps the files: the contract (`base`), a local disk (`local`), memory for tests (`memory`), and `quota`.

Nothing here knows the protocol, accounts or a database.
"""
