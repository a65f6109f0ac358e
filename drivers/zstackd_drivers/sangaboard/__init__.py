"""Sangaboard 0.5 and 1.x: its dialect, and its firmware twin."""
