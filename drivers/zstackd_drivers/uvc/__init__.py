"""USB cameras by way of V4L2, and a twin of what is plugged in."""
