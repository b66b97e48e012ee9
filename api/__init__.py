"""The HTTP surface: parse, ask the domain, answer. Nothing is decided here and nothing by a GET."""
