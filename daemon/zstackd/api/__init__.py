"""The control API: the running service over HTTP, on a Unix socket and, if asked for, on TCP."""
