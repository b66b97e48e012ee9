"""Process managers: entries in, commands out; requests to the outside and their outcomes."""
