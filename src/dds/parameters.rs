//! The six parameter services.
