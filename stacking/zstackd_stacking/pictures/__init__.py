"""Pictures of heights and plots of focus, drawn for people."""
