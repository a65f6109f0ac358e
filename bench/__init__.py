"""Measures the stacking engine beside its peers, on rendered stacks whose truth is known."""
