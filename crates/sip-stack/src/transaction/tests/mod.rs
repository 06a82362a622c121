//! Each arrow of the four figures, and what surrounds them, in virtual time.

mod bench;
mod cancel;
mod client_invite;
mod client_non_invite;
mod matching;
mod moved;
mod sequences;
mod server_invite;
mod server_non_invite;
mod table;
mod transports;
