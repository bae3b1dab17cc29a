//! `POST /links`: a caller who may hear and share a recording has a link to it made.
//!
//! Knows what a caller may ask for, and what is answered. Does not know how a link is signed.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http_body::Body;
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::Gateway;
use super::body::{BodyError, Members, wrong};
use super::error::GatewayError;
use super::front::Addressed;
use super::pbxs::Pbxs;
use super::route::{Route, Target};
use crate::auth::Principal;
use crate::auth::minter::{self, LinkRequest, Minter};
use crate::gateway::answer;
use crate::gateway::answer::Small;
use crate::limits::rate::Counted;
use crate::pbx::Pbx;
use crate::policy;
use crate::policy::Grant;
use crate::recording::RecordingName;
use crate::relay::access_line::AccessLine;

/// What a caller asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    recording: RecordingName,
    pbx: Option<String>,
    ttl: Duration,
    ip: Option<IpAddr>,
    download: bool,
}

/// Makes the link that the body of a request asks for.
///
/// # Errors
/// When links are not configured, the body is wrong, or the caller may not share the recording.
///
/// # Cancel safety
/// Safe but for the body.
pub(super) async fn make<B>(
    gateway: &Gateway,
    principal: Counted<Principal>,
    request: &Addressed<'_>,
    body: B,
    line: &mut AccessLine,
) -> Result<Small, GatewayError>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    policy::require_sharer(&principal)?;
    let (front, now) = (&gateway.front, request.now());
    let (minter, public) = minter::configured(gateway.minter.as_ref(), front.public_url.as_ref())?;
    let wish = Wish::read(
        Members::read(request.headers(), body).await?,
        minter.max_ttl,
    )?;
    let name = &wish.recording;
    line.recording = front.names.mask(name);
    let pbx = wish.pbx(&gateway.pbxs, minter, now, line)?;
    let mint = |grant: &Grant| minter.mint(&wish.order(grant), now);
    let (grant, minted) = gateway
        .rights
        .share(principal, request, pbx, name, line, mint)
        .await?;
    let url = wish.url(public, grant.pbx(), &minted.token);
    let expires_at = Timestamp::try_from(minted.expires_at).unwrap_or(Timestamp::MAX);
    let document = json!({"url": url.as_str(), "expires_at": expires_at.to_string()});
    Ok(answer::document(StatusCode::CREATED, &document))
}

impl Wish {
    fn read(mut members: Members, max_ttl: Duration) -> Result<Self, BodyError> {
        let ttl = members.whole("ttl_s", 1..=max_ttl.as_secs())?;
        let wish = Self {
            recording: members
                .parsed("recording")?
                .ok_or(BodyError::Missing("recording"))?,
            pbx: members.text("pbx")?,
            ttl: ttl.map_or(max_ttl, Duration::from_secs),
            ip: members.parsed("ip")?,
            download: members.flag("download")?,
        };
        members.finish()?;
        Ok(wish)
    }

    /// The PBX that is meant, which the key's links have to reach.
    fn pbx<'p>(
        &self,
        pbxs: &'p Pbxs,
        minter: &Minter,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&'p Pbx, GatewayError> {
        let name = self.recording.clone();
        let route = Route {
            pbx: self.pbx.clone(),
            target: Target::Recording { name },
        };
        let pbx = pbxs.of(&route, now, line).map_err(|error| match error {
            GatewayError::NoSuchPbx => wrong("pbx", "no PBX of this name is configured").into(),
            error => error,
        })?;
        let reached = minter.require_pbx(pbx.name());
        reached.map_err(|error| wrong("pbx", error))?;
        Ok(pbx)
    }

    fn order<'o>(&'o self, grant: &'o Grant) -> LinkRequest<'o> {
        LinkRequest {
            subject: grant.principal().subject(),
            pbx: grant.pbx(),
            recording: &self.recording,
            ip: self.ip,
            ttl: self.ttl,
        }
    }

    /// The address that opens the recording. It names the PBX, as the link does, so that it stays true when others come.
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
