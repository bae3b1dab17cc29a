//! The configured PBXs, and the choice of one for a request.
//!
//! Knows the names of PBXs, and which names of recordings belong to which. Does not know what a PBX
//! does.

use std::sync::Arc;
use std::time::SystemTime;

use super::error::GatewayError;
use super::route::{Route, RouteTarget};
use crate::pbx::Pbx;
use crate::relay::access_line::AccessLine;

/// The configured PBXs, at least one. The default for a recording is the first PBX that its name
/// belongs to.
pub(crate) struct PbxDirectory(Vec<Arc<Pbx>>);

impl PbxDirectory {
    pub(crate) fn new(pbxs: Vec<Arc<Pbx>>) -> Self {
        Self(pbxs)
    }

    /// All PBXs, in the order of the configuration.
    pub(crate) fn all(&self) -> &[Arc<Pbx>] {
        &self.0
    }

    /// The PBX with this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Pbx>> {
        self.0.iter().find(|pbx| pbx.name() == name)
    }

    /// The PBX that the path names. Without a name in the path, it is for a recording the first PBX
    /// that its name belongs to, and for a list the one that a recording made at `now` belongs to.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn find(
        &self,
        route: &Route,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&Arc<Pbx>, GatewayError> {
        let mut pbxs = self.0.iter();
        let pbx = match (&route.pbx, &route.target) {
            (Some(name), _) => self.named(name).ok_or(GatewayError::NoSuchPbx),
            (None, RouteTarget::Recording { name, .. }) => pbxs
                .find(|pbx| pbx.holds(name))
                .ok_or(GatewayError::NoPbxForName),
            (None, RouteTarget::List | RouteTarget::Links | RouteTarget::Session { .. }) => {
                let current = pbxs.find(|pbx| pbx.holds_new(now));
                current.or(self.0.first()).ok_or(GatewayError::NoSuchPbx)
            }
        }?;
        line.pbx = pbx.shared_name();
        Ok(pbx)
    }
}
