"""Channel accounts: creating, checking with the provider, explaining, hours, key rotation."""
