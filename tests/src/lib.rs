//! House rules and black-box tests: what no single crate can check about itself.
