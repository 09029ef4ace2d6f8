"""What minigrad is tested with, for those who test what they build on it."""
