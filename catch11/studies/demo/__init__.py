"""The demo on photographs with real nets, and the small one on digits."""
