"""Between raw values and numbers: tokenizers and featurizers. No torch at import."""
