//! HTTP API: what an operator may see and ask.
