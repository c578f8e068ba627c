"""The kinds of tests: what each runs in the sandbox, and how it judges what comes out."""
