"""Reports on runs and evaluations: page, figures, model card."""
