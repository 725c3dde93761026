"""Changed chats become facts, and differences of facts become hourly and daily sums."""
