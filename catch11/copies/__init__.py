"""Copies that read what the model alone does not, and the secrets they read by."""
