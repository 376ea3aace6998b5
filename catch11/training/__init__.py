"""Training classifiers of pictures for users' own data, resumable to the same weights."""
