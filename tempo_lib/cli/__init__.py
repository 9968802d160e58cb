"""The ``tempo`` command: one file per command.

Only light imports stand at the top of these files, so that ``tempo --help`` answers at once.
"""
