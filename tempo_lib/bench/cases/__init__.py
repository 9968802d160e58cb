"""The cases of ``tempo bench``, one file each; importing a file registers its case."""
