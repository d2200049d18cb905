"""Original text to the *clean* view (faithful) and the *folded* view (for evasion), each with its way back."""
