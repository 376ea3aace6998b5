"""Tables: models, recoders, released files, scores, attacks."""
