"""Item-item weights learned by regression, or by walks over the graph of who took what."""
