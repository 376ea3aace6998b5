"""Models in files of weights, exported programs and functions of the user's own."""
