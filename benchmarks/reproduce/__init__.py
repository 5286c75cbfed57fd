"""Recipes beside published results: one config and one command each."""
