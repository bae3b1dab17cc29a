//! The parts that only the shipped configuration of nginx has: its error log, and single sign-on.
//! The promises that hold behind every proxy are in `proxies`.

mod sso;

use crate::proxies::shipped::Kind;
use crate::proxies::transfers::logs_after_errors;

/// Without this line nginx would log links.
const NO_ERROR_LOG: &str = "error_log /dev/null emerg;";

#[tokio::test]
async fn without_one_line_the_error_log_would_have_links() {
    let edits = [(NO_ERROR_LOG, "error_log {folder}requests.log error;")];
    let Some((signature, _, rest)) = logs_after_errors(Kind::Nginx, &edits).await else {
        return;
    };
    assert!(rest.contains(&signature), "{rest}");
}
