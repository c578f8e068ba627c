"""The gradebook: what was graded, as tables, files and pages for people (docs/gradebook.md)."""
