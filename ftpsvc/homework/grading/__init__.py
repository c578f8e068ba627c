"""From a hand-in to a result: tests are run in the sandbox and judged outside of it (docs/grading.md)."""
