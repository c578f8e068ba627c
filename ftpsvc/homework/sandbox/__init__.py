"""Where other people's programs run: the contract (`base`), what fulfils it, and the search for one that works here."""
