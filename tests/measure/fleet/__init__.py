"""Load from several processes at once."""
