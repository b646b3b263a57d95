"""Pure functions from records to findings: no clock, no client library, no widget."""
