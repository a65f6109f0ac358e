"""What live cameras share: frames proven fresh and locked, and mending after a stall."""
