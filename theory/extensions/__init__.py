"""Label noise, class priors and partial participation (T26 to T28); every client's prediction and best mixing."""
