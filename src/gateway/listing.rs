//! A request for a list, once it is allowed: row by row, what the caller may hear.
//!
//! Knows which parameters a PBX needs, and where the next page is. Does not know how a PBX is asked.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::Gateway;
use super::error::GatewayError;
use crate::gateway::answer::AnswerBody;
use crate::http::headers;
use crate::limits::streams::StreamPermit;
use crate::list::{self, Query};
use crate::pbx::{ListKind, Pbx};
use crate::policy::{Context, Viewer};
use crate::relay::DocumentBody;
use crate::relay::access_line::AccessLine;

/// A page of a list.
pub(super) struct Listed {
    permit: StreamPermit,
    document: String,
    /// Entries on the page.
    rows: usize,
    /// Where the next page is.
    link: Option<String>,
}

impl Gateway {
    /// Gets the page that a query asks for.
    pub(super) async fn list(
        &self,
        pbx: &Pbx,
        viewer: &Viewer<'_>,
        context: &Context,
        query: Option<&str>,
    ) -> Result<Listed, GatewayError> {
        let kind = pbx.list_kind();
        if kind == ListKind::Absent {
            return Err(GatewayError::ListUnsupported);
        }
        let (name, zone) = (pbx.name(), pbx.time_zone());
        let query = Query::parse(query, name, zone)?;
        let filter = &query.filter;
        if kind == ListKind::Windowed && (filter.from.is_none() || filter.to.is_none()) {
            return Err(GatewayError::ListWindowRequired);
        }
        let permit = self.admission.admit(&viewer.principal().id())?;
        let mut page = pbx.list(&query, &|name| viewer.may_hear(name)).await?;
        // That may have taken a while.
        let principal = viewer.principal();
        self.revocations.check(principal)?;
        if let Some(policy) = self.running.newer_than(&self.policy) {
            let viewer = policy.view(principal.clone(), name, context)?;
            page.entries.retain(|entry| viewer.may_hear(&entry.name));
        }
        let next = page.next.map(|position| query.cursor(&position));
        let url = self.public_url.as_ref();
        Ok(Listed {
            permit,
            rows: page.entries.len(),
            document: list::write(
                &page.entries,
                next.as_deref(),
                &page.unreadable,
                name,
                zone,
                url,
            ),
            link: next.map(|cursor| list::next_link(&query, &cursor, name, url)),
        })
    }
}

/// The answer to a request for a list.
pub(super) fn show(listed: Listed, mut line: AccessLine) -> Response<AnswerBody> {
    line.status = StatusCode::OK.as_u16();
    line.audit.rows = Some(listed.rows);
    let body = DocumentBody::new(Bytes::from(listed.document), listed.permit, line);
    let mut response = Response::new(AnswerBody::List(Box::new(body)));
    headers::fill_list(response.headers_mut(), listed.link.as_deref());
    response
}
