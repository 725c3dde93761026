"""The copy of all messages in DynamoDB: writing it, comparing it, rebuilding it."""
