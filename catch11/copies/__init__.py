"""Private copies of public models, and the secret that a copy reads by."""
