"""A demo service: FastAPI over pools from a pools.py that poolkit wrote, with gauges on."""
