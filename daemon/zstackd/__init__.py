"""The capture-and-stack service and its command line."""
