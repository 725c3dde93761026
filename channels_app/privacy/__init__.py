"""Erasure and retention of what this app keeps: stored webhooks, their events, the log of calls."""
