"""What the commands of ``tempo`` do; ``tempo_lib.cli`` only declares their options."""
