//! Logins whose answer got lost, with credentials that were accepted before.
