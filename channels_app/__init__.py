"""How each messenger speaks, which accounts we have there, and how their webhooks are taken in."""
