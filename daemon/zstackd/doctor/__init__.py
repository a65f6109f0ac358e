"""What is wrong with a rig, and how to mend it: one small check at a time."""
