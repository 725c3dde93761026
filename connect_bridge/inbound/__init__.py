"""Stored webhook entries become messages of conversations, receipts, and signals about customers."""
