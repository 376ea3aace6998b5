"""Models as they are used: a frame, and adapters to what wrote them."""
