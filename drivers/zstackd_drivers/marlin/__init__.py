"""Marlin: its dialect, and its firmware twin."""
