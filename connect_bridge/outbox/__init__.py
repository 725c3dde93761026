"""Agents' messages go to the messenger: claiming, sending, retrying, and settling uncertain sends."""
