//! The softphone's commands, screen and sound.
