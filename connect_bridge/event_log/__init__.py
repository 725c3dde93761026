"""The event log: webhook deliveries, one message's way step by step, and what was replayed."""
