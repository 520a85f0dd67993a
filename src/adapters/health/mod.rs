//! How an instance is asked which key it uses.

mod http;

pub use http::http;
