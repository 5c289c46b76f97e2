//! Black-box tests: a running `pillarbox` and real clients.
