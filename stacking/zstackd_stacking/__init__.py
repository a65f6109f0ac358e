"""Focus stacking: align, fuse, and measure height; usable without the rest of zstackd."""
