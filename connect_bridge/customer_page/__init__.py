"""The page of one customer: profile, identities, timeline of all channels; and its signed copy for agents."""
