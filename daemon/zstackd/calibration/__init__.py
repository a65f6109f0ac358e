"""Measures what a rig file has to say, and writes it as a fragment with its evidence."""
