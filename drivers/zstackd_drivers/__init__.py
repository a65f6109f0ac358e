"""Cameras and focus axes, and the simulated twins that stand in for them."""
