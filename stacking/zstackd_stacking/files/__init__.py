"""Images and surfaces in files, read and written whole or not at all."""
