"""All SQL: the database, its tables, and what is asked of them."""
