"""The event log: webhook deliveries, one message's way hop by hop, and what was replayed."""
