"""Sending load: schedules, the generator that stamps every call, the recorder and the brakes."""
