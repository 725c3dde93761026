"""Messages of conversations go to Connect: starting the chat, splitting texts, sending in order."""
