"""Height of best focus of each place: found, filled in, chosen and made smooth."""
