"""Events, users and items as tables: what they mean, how they are read, split and audited. No torch here."""
