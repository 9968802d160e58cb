"""Files, folders and arrays to frames at a fixed rate."""
