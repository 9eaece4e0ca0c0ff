"""The recommenders, their fusion and the reasons they give."""
