"""GRBL 1.1: its dialect, and its firmware twin."""
