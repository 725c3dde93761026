"""How the bridge is doing: health, doctor, metrics, account status, what is stuck and why."""
