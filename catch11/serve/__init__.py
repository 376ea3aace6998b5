"""The gateway: keys in a vault, recoding as a service, a page for people. It holds no logic of its own."""
