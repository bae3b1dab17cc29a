//! `POST /links`: a caller who may hear and share a recording has a link to it made.
//!
//! Knows what a caller may ask for, and what is answered. Does not know how a link is signed.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::{StatusCode, request};
use http_body::Body;
use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::Gateway;
use super::audited;
use super::body::{BodyError, Members, wrong};
use super::error::GatewayError;
use super::route::{Route, Target};
use crate::auth::Principal;
use crate::auth::minter::{self, LinkRequest, MintedLink, Minter};
use crate::gateway::answer;
use crate::gateway::answer::Small;
use crate::pbx::Pbx;
use crate::policy;
use crate::policy::{Action, Context, Grant};
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

/// A link that somebody may have.
pub(super) struct Shared {
    pub(super) grant: Grant,
    minted: MintedLink,
}

impl Gateway {
    /// Makes the link that a body asks for.
    ///
    /// # Cancel safety
    /// Safe but for the body.
    pub(super) async fn make_link<B>(
        &self,
        principal: Principal,
        head: &request::Parts,
        body: B,
        context: &Context,
        line: &mut AccessLine,
    ) -> Result<Small, GatewayError>
    where
        B: Body<Error: std::error::Error + Send + Sync + 'static>,
    {
        policy::require_sharer(&principal)?;
        let (minter, public) = minter::configured(self.minter.as_ref(), self.public_url.as_ref())?;
        let wish = Wish::read(Members::read(&head.headers, body).await?, minter.max_ttl)?;
        line.recording = self.names.mask(&wish.recording);
        let pbx = self.pbx_of(&wish, minter, context.now, line)?;
        let name = &wish.recording;
        let mut decision = audited::decision(line, head, &principal, "share", Some(name));
        let hide = self.hiding(pbx, name);
        let (policy, action, name) = (&self.policy, Action::Share, name.clone());
        let shared = match policy.authorize(principal, action, pbx.name(), name, context) {
            Ok(grant) => {
                let order = wish.order(&grant);
                let minted = minter.mint(&order, context.now)?;
                decision.link = Some(minted.id.clone());
                Ok(Shared { grant, minted })
            }
            Err(denied) => Err(denied),
        };
        let Shared { grant, minted } = self.written(decision, shared, line).await.map_err(hide)?;
        let url = wish.url(public, grant.pbx(), &minted.token);
        let expires_at = Timestamp::try_from(minted.expires_at).unwrap_or(Timestamp::MAX);
        let document = json!({"url": url.as_str(), "expires_at": expires_at.to_string()});
        Ok(answer::document(StatusCode::CREATED, &document))
    }

    /// The PBX that is meant, which the key's links have to reach.
    fn pbx_of(
        &self,
        wish: &Wish,
        minter: &Minter,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&Pbx, GatewayError> {
        let name = wish.recording.clone();
        let route = Route {
            pbx: wish.pbx.clone(),
            target: Target::Recording { name },
        };
        let pbx = self.pbx(&route, now, line).map_err(|error| match error {
            GatewayError::NoSuchPbx => wrong("pbx", "no PBX of this name is configured").into(),
            error => error,
        })?;
        let reached = minter.require_pbx(pbx.name());
        reached.map_err(|error| wrong("pbx", error))?;
        Ok(pbx)
    }
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
