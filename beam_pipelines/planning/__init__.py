"""From facts alone to the whole data set on paper."""
