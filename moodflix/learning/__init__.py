"""Training, the files of trained models, and their evaluation."""
