"""How soon the death of a worker is noticed while it runs an activity that does not beat itself."""

from datetime import timedelta

PULSE = timedelta(seconds=10)
