"""From tables to arrays: vocabularies fitted on training events, event arrays for models, queries for requests."""
