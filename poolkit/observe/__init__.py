"""A size from what a service's own pools counted in production; nothing is sent to its upstream."""
