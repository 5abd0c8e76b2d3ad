"""What happens around every handler: who is it, in which language, and what is said when something breaks."""
