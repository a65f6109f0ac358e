"""The command line as a person sees it: options, completion, progress."""
