//! The PBXs there are, and which one a request means.
//!
//! Knows names of PBXs and the names of recordings that each of them holds. Does not know what a PBX does.

use std::sync::Arc;
use std::time::SystemTime;

use super::error::GatewayError;
use super::route::{Route, Target};
use crate::pbx::Pbx;
use crate::relay::access_line::AccessLine;

/// At least one PBX; the first whose names hold a recording is the default for it.
pub(crate) struct Pbxs(Vec<Arc<Pbx>>);

impl Pbxs {
    pub(crate) fn new(pbxs: Vec<Arc<Pbx>>) -> Self {
        Self(pbxs)
    }

    /// All of them, in the order of the configuration.
    pub(crate) fn all(&self) -> &[Arc<Pbx>] {
        &self.0
    }

    /// The PBX of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Pbx>> {
        self.0.iter().find(|pbx| pbx.name() == name)
    }

    /// The PBX that a path names. Without one: of a recording, the first that its name belongs to; of a list, the one that
    /// a recording made at `now` would belong to.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(
        &self,
        route: &Route,
        now: SystemTime,
        line: &mut AccessLine,
    ) -> Result<&Arc<Pbx>, GatewayError> {
        let mut pbxs = self.0.iter();
        let pbx = match (&route.pbx, &route.target) {
            (Some(name), _) => self.named(name).ok_or(GatewayError::NoSuchPbx),
            (None, Target::Recording { name, .. }) => pbxs
                .find(|pbx| pbx.holds(name))
                .ok_or(GatewayError::NoPbxForName),
            (None, Target::List | Target::Links | Target::Session { .. }) => {
                let current = pbxs.find(|pbx| pbx.holds_new(now));
                current.or(self.0.first()).ok_or(GatewayError::NoSuchPbx)
            }
        }?;
        pbx.name().clone_into(&mut line.pbx);
        Ok(pbx)
    }
}
