"""The laws: properties that every model, task and config must have. Importable, so that a third-party task runs them on itself."""
