"""Homework: assignments, hand-ins, grading and the gradebook. It lies above the server; nothing below imports it."""
