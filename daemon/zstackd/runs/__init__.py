"""What is done with the rig: a run from its plan to its published result, focus by hand."""
