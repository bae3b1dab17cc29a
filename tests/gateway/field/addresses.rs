//! Addresses as proxies write them into `X-Forwarded-For`.
