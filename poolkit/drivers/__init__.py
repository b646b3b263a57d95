"""One adapter per client library behind one protocol; only they import those libraries."""
