"""Amazon Connect's contact events and queue metrics: taking them in by EventBridge or SQS."""
