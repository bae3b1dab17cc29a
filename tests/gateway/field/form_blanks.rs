//! Blanks in a query as form encoders write them.
