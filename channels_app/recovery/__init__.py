"""What webhooks did not bring, fetched from the provider; and stored deliveries that are read again."""
