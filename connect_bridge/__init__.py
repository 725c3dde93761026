"""How a conversation becomes an Amazon Connect chat, and what agents write becomes messages to the customer."""
