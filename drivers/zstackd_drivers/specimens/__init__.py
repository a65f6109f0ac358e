"""What the simulated camera looks at."""
