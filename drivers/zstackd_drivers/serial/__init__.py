"""The serial line of every controller: found, opened by one alone, read, asked, mended."""
