"""What `capacity.py` computes with."""
