"""A model's first linear map: found in a module, folded, fingerprinted."""
