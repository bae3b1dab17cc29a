//! The stage that prepares and answers a list: the recordings that the caller may hear.
//!
//! Knows which parameters a PBX needs, and the link to the next page. Does not know how a PBX lists
//! its recordings.

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
use crate::limits::streams::{StreamLimit, StreamPermit};
use crate::list::{self, Query};
use crate::pbx::{ListKind, Pbx};
use crate::policy::Viewer;
use crate::relay::DocumentBody;
use crate::relay::access_line::AccessLine;

/// A page of a list, ready to be sent.
pub(super) struct PreparedList {
    permit: StreamPermit,
    document: Vec<u8>,
    /// The number of entries on the page.
    rows: usize,
    /// The address of the next page.
    link: Option<String>,
}

/// Prepares the page that the query of a request asks for.
///
/// # Errors
/// If the PBX has no list, the query is wrong, a limit is reached, or the PBX fails.
///
/// # Cancel safety
/// Safe: the stream permit is given back.
pub(super) async fn page(
    stream_limit: &Arc<StreamLimit>,
    rights: &Rights,
    pbx: &Pbx,
    viewer: &Recorded<Viewer<'_>>,
    request: &Addressed<'_>,
    public_url: Option<&Url>,
) -> Result<PreparedList, GatewayError> {
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
    let permit = stream_limit.open(&viewer.principal().id()).await?;
    let mut page = pbx.list(&query, &|name| viewer.may_hear(name)).await?;
    // Reading the list may have taken a while, so the rights are checked again.
    rights.revocations.check(viewer.principal())?;
    if let Some(policy) = rights.active.newer_than(&rights.policy) {
        let viewer = policy.review(viewer, &rights::context(request))?;
        page.entries.retain(|entry| viewer.may_hear(&entry.name));
    }
    let next = page.next.map(|position| query.cursor(&position));
    let (entries, unreadable) = (&page.entries, &page.unreadable);
    Ok(PreparedList {
        permit,
        rows: entries.len(),
        document: list::write(entries, next.as_deref(), unreadable, name, zone, public_url),
        link: next.map(|cursor| list::next_link(&query, &cursor, name, public_url)),
    })
}

/// The answer to a request for a list.
pub(super) fn answer(page: PreparedList, mut line: AccessLine) -> Response<AnswerBody> {
    line.status = StatusCode::OK.as_u16();
    line.audit.rows = Some(page.rows);
    let body = DocumentBody::new(Bytes::from(page.document), page.permit, line);
    let mut response = Response::new(AnswerBody::List(Box::new(body)));
    headers::fill_list(response.headers_mut(), page.link.as_deref());
    response
}
