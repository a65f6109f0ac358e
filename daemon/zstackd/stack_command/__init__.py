"""`zstackd stack` and the classic `focusstack`: files become a stack."""
