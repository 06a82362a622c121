//! Reads the configuration, starts threads, wires adapters to the exchange.
