"""The two documents a user writes: the rig and the run."""
