//! How a denial is told.
//!
//! Knows that it may have to look like a recording that does not exist. Does not know the policies.

use super::Gateway;
use super::error::GatewayError;
use crate::pbx::Pbx;
use crate::recording::RecordingName;

impl Gateway {
    /// Makes a denial look as if there were no such recording, where the configuration wants that. The PBX is not asked.
    pub(super) fn hiding(
        &self,
        pbx: &Pbx,
        name: &RecordingName,
    ) -> impl FnOnce(GatewayError) -> GatewayError + use<> {
        let hidden_as = self.hides_denied.then(|| pbx.is_young(name));
        move |error| match (hidden_as, error) {
            (Some(young), GatewayError::Policy(denial)) if denial.is_denial() => {
                GatewayError::Hidden { denial, young }
            }
            (_, error) => error,
        }
    }
}
