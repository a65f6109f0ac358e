"""What stands on the disk: the spool of runs, their journals, and room for more."""
