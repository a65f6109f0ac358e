"""Where each frame lies upon the reference."""
