"""Recoders: a key with settings that makes inputs into non-transferable examples."""
