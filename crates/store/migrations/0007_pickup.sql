-- The group whose calls an account may take while they ring, and whose members may take its own.
ALTER TABLE answering ADD COLUMN pickup_group TEXT;
