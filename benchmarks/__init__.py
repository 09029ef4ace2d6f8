"""minigrad raced against its peers: `make bench`."""
