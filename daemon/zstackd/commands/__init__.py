"""One module for each command of the `zstackd` program."""
