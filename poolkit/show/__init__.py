"""What was measured, for people to read: tables, charts and words."""
