"""The simulated camera: sensor, lens and noise."""
