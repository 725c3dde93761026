"""What is said without a person: automatic replies, notices to agents about undelivered messages, briefings."""
