//! A program that accepts HTML, or a person at a browser.
