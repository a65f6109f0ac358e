"""The running service: inbox, queue, series, recovery, retention, hooks, the rig."""
