//! Certificates, TLS configurations and OAuth tokens.
