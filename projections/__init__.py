"""Read models: rows derived from entries, rebuildable from position 0, queried by the API."""
