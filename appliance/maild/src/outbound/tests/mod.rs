//! Tests with a local zone and scripted servers.
