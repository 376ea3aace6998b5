"""Kinds of data besides pictures: how each is keyed, recoded, verified and attacked."""
