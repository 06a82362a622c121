//! Phones that call each other in virtual time, over a wire that may lose packets.
#![allow(clippy::unwrap_used)]

mod calls;
mod encryption;
mod hostile;
mod ice;
mod registration;
mod requests;
mod sound;
mod wire;
