//! A request for a list, once it is allowed: row by row, what the caller may hear.
//!
//! Knows which parameters a PBX needs, and where the next page is. Does not know how a PBX is asked.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use url::Url;

use super::answer::AnswerBody;
use super::error::GatewayError;
use super::front::Addressed;
use super::rights::{self, Rights};
use crate::audit::Recorded;
use crate::http::headers;
use crate::limits::streams::{Admission, StreamPermit};
use crate::list::{self, Query};
use crate::pbx::{ListKind, Pbx};
use crate::policy::Viewer;
use crate::relay::DocumentBody;
use crate::relay::access_line::AccessLine;

/// A page of a list, ready to be answered.
pub(super) struct Page {
    permit: StreamPermit,
    document: String,
    /// Entries on the page.
    rows: usize,
    /// Where the next page is.
    link: Option<String>,
}

/// Gets the page that the query of a request asks for.
///
/// # Errors
/// When the PBX has no list, the query is wrong, there is no room, or the list cannot be had.
///
/// # Cancel safety
/// Safe: everything taken is given back.
pub(super) async fn page(
    admission: &Arc<Admission>,
    rights: &Rights,
    pbx: &Pbx,
    viewer: &Recorded<Viewer<'_>>,
    request: &Addressed<'_>,
    public_url: Option<&Url>,
) -> Result<Page, GatewayError> {
    let kind = pbx.list_kind();
    if kind == ListKind::Absent {
        return Err(GatewayError::ListUnsupported);
    }
    let (name, zone) = (pbx.name(), pbx.time_zone());
    let query = Query::parse(request.query(), name, zone)?;
    let filter = &query.filter;
    if kind == ListKind::Windowed && (filter.from.is_none() || filter.to.is_none()) {
        return Err(GatewayError::ListWindowRequired);
    }
    let permit = admission.admit(&viewer.principal().id())?;
    let mut page = pbx.list(&query, &|name| viewer.may_hear(name)).await?;
    // Reading the list may have taken a while.
    rights.revocations.check(viewer.principal())?;
    if let Some(policy) = rights.active.newer_than(&rights.policy) {
        let viewer = policy.review(viewer, &rights::context(request))?;
        page.entries.retain(|entry| viewer.may_hear(&entry.name));
    }
    let next = page.next.map(|position| query.cursor(&position));
    let (entries, unreadable) = (&page.entries, &page.unreadable);
    Ok(Page {
        permit,
        rows: entries.len(),
        document: list::write(entries, next.as_deref(), unreadable, name, zone, public_url),
        link: next.map(|cursor| list::next_link(&query, &cursor, name, public_url)),
    })
}

/// The answer to a request for a list.
pub(super) fn answer(page: Page, mut line: AccessLine) -> Response<AnswerBody> {
    line.status = StatusCode::OK.as_u16();
    line.audit.rows = Some(page.rows);
    let body = DocumentBody::new(Bytes::from(page.document), page.permit, line);
    let mut response = Response::new(AnswerBody::List(Box::new(body)));
    headers::fill_list(response.headers_mut(), page.link.as_deref());
    response
}
