"""How a voice sounds over a bad network: calls of one kind of phone with itself, scored by PESQ and by the delay from mouth to ear."""
