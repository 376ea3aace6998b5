"""Recoders: from windows to non-transferable examples, behind one final frame."""
