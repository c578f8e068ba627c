"""The tests of ftpsvc. CONTRIBUTING.md says which folder a test belongs to."""
