"""Where data lies: folders, archives, shards and tables; each opened, packed and read back alike."""
