"""Django's PostgreSQL, with our pool. Django looks for `base` in the package that ENGINE names."""
