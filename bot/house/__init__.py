"""What operators do from a chat: see today's figures, find a person or a request, give back, give, ban, tell everybody."""
