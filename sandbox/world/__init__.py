"""The outside world on a laptop: Amazon's and the messengers' APIs, simulated over real sockets."""
