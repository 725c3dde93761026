"""Speaks Amazon Connect: control plane, participant service, websocket, transcript, rate limits. Knows no table."""
