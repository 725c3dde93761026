"""Alert rules, reports and exports: checking them, and telling people by e-mail, webhook or SNS."""
