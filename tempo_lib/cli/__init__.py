"""The ``tempo`` command: one file a command."""
