//! The expression language of Oarlock, evaluated over JSON values.
