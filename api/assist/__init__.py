"""Real-time assist: drafts judged before they are sent, conversations watched while they run."""
