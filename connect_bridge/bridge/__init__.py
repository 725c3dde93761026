"""The bridge process: heartbeat, claiming conversations, dispatching work, rebalancing between bridges."""
