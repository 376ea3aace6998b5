"""The threat-model card of a release."""
