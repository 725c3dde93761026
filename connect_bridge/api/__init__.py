"""The REST API under /api/v1/: conversations, chats, messages, customers, what is stuck."""
