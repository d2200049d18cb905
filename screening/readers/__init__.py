"""Files of conversations in, `Conversation` or `Refused` out, row by row; nothing is silently dropped."""
