"""Review: the queue of candidates, who holds which, what people decided, and what is learnt from it."""
