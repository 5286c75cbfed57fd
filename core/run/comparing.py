"""`compare`: two runs on the same records."""
