"""Language models that are asked: endpoints and local chat models, answers kept, prompts, judging."""
