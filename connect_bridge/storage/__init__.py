"""SQL of the hot path: who owns a conversation, its chats, relaying, capture, account settings."""
