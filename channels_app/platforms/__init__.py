"""How each company signs webhooks, takes calls and says no: whatever channels of it there are share that."""
