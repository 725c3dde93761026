"""Webhook requests are checked and stored before they are answered."""
