//! `POST /links`: makes a link to a recording for a caller who may hear and share it.
//!
//! Knows the members of the request and of the answer. Does not know how a link is signed.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http_body::Body;
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::Gateway;
use super::error::GatewayError;
use super::front::Addressed;
use super::pbxs::PbxDirectory;
use super::request_body::{BodyError, JsonMembers, MemberFault};
use super::route::{Route, RouteTarget};
use crate::auth::Principal;
use crate::auth::link_minter::{self, LinkRequest, Minter};
use crate::gateway::answer;
use crate::gateway::answer::SmallResponse;
use crate::limits::rate::Counted;
use crate::pbx::Pbx;
use crate::policy;
use crate::policy::Grant;
use crate::recording::RecordingName;
use crate::relay::access_line::AccessLine;

/// The body of a request for a link.
#[derive(Debug, PartialEq, Eq)]
struct LinkRequestBody {
    recording: RecordingName,
    pbx: Option<String>,
    ttl: Duration,
    ip: Option<IpAddr>,
    download: bool,
}

/// Makes the link that the body of a request describes.
///
/// # Errors
/// If links are not configured, the body is wrong, or the caller may not share the recording.
///
/// # Cancel safety
/// Safe, except that the bytes of the body are lost.
pub(super) async fn make<B>(
    gateway: &Gateway,
    principal: Counted<Principal>,
    request: &Addressed<'_>,
    body: B,
    line: &mut AccessLine,
) -> Result<SmallResponse, GatewayError>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    policy::require_sharer(&principal)?;
    let (front, now) = (&gateway.front, request.now());
    let (minter, public) =
        link_minter::configured(gateway.minter.as_ref(), front.public_url.as_ref())?;
    let wanted = LinkRequestBody::read(
        JsonMembers::read(request.headers(), body).await?,
        minter.max_ttl,
    )?;
    let name = &wanted.recording;
    line.recording = front.names.mask(name);
    let pbx = wanted.pbx(&gateway.pbxs, minter, now, line)?;
    let mint = |grant: &Grant| minter.mint(&wanted.link_request(grant), now);
    let rights = &gateway.rights;
    let minted = rights
        .share(principal, request, pbx, name, line, mint)
        .await?;
    let url = wanted.url(public, pbx.name(), &minted.token);
    let expires_at = Timestamp::try_from(minted.expires_at).unwrap_or(Timestamp::MAX);
    let document = json!({"url": url.as_str(), "expires_at": expires_at.to_string()});
    Ok(answer::document(StatusCode::CREATED, &document))
}

impl LinkRequestBody {
    fn read(mut members: JsonMembers, max_ttl: Duration) -> Result<Self, BodyError> {
        let ttl = members.whole("ttl_s", 1..=max_ttl.as_secs())?;
        let wanted = Self {
            recording: members
                .parsed("recording")?
                .ok_or_else(|| MemberFault::Missing.of_member("recording"))?,
            pbx: members.text("pbx")?,
            ttl: ttl.map_or(max_ttl, Duration::from_secs),
            ip: members.parsed("ip")?,
            download: members.flag("download")?,
        };
        members.finish()?;
        Ok(wanted)
    }

    /// The PBX of the link. The links of the key must be valid for it.
    fn pbx<'p>(
        &self,
        pbxs: &'p PbxDirectory,
        minter: &Minter,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&'p Pbx, GatewayError> {
        let name = self.recording.clone();
        let route = Route {
            pbx: self.pbx.clone(),
            target: RouteTarget::Recording { name },
        };
        let pbx = pbxs.find(&route, now, line).map_err(|error| match error {
            GatewayError::NoSuchPbx => MemberFault::UnknownPbx.of_member("pbx").into(),
            error => error,
        })?;
        let in_scope = minter.require_pbx(pbx.name());
        in_scope.map_err(|error| MemberFault::from(error).of_member("pbx"))?;
        Ok(pbx)
    }

    fn link_request<'o>(&'o self, grant: &'o Grant) -> LinkRequest<'o> {
        LinkRequest {
            subject: grant.principal().subject(),
            pbx: grant.pbx(),
            recording: &self.recording,
            ip: self.ip,
            ttl: self.ttl,
        }
    }

    /// The address that opens the recording. It names the PBX, as the link does, so that it stays
    /// valid when other PBXs are added.
    fn url(&self, public: &Url, pbx: &str, token: &str) -> Url {
        let mut url = public.clone();
        url.set_path(&format!(
            "/pbx/{pbx}/recordings/{}",
            self.recording.encoded()
        ));
        let download = if self.download { "&download=1" } else { "" };
        url.set_query(Some(&format!("link={token}{download}")));
        url
    }
}
