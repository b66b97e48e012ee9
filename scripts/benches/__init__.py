"""Benches that need more than a page: each module measures one thing and knows nothing of tables and files."""
