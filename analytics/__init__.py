"""What conversations tell: sentiment, sums, dashboards, alerts."""
