"""Training models, storing them, evaluating them."""
