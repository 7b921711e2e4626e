"""Help for whoever writes the YAML of a source: check it, propose one, start from a preset."""
