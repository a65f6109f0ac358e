"""Frames blended into one image by how much in focus they are, in a pyramid of running sums."""
