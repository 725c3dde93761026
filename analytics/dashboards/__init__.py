"""The dashboard pages: views, filters, saved views, live updates, CSV, and their API."""
