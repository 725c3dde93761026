"""Setting an account up in steps, its round trip and dry run, and pausing it."""
