//! What tests of several files use.

/// How long this thread has worked: what a busy machine lets it wait does not count.
pub fn worked() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    std::time::Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
