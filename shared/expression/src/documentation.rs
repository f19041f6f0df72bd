//! placeholder
/// The documentation.
pub fn documentation() -> String {
    String::new()
}
