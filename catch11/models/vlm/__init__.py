"""Vision-language models: what they see of a prompt and how they are asked."""
