"""Films without SQL: titles, misspellings, the films that ship, lists from elsewhere."""
