"""What is said in a Connect chat becomes messages with outbox entries."""
