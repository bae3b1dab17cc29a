//! Queues and ring groups: numbers that stand for others.
//!
//! Knows the members of each. Does not know the PBX, which is not asked.

use std::collections::HashMap;
use std::sync::Arc;

/// The members of numbers that stand for others, by PBX.
#[derive(Clone, Debug, Default)]
pub struct Groups(Arc<HashMap<String, HashMap<String, Vec<String>>>>);

impl Groups {
    /// Whether both were read together.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// `groups` has, for each PBX, a number and its members.
    #[must_use]
    pub fn new(groups: impl IntoIterator<Item = (String, Vec<(String, Vec<String>)>)>) -> Self {
        let of_pbx = |(pbx, groups): (String, Vec<(String, Vec<String>)>)| {
            let members = |numbers: Vec<String>| {
                let numbers = numbers.into_iter();
                numbers.map(|number| inside(&pbx, &number)).collect()
            };
            let groups = groups.into_iter();
            let groups = groups
                .map(|(number, numbers)| (number, members(numbers)))
                .collect();
            (pbx, groups)
        };
        Self(Arc::new(groups.into_iter().map(of_pbx).collect()))
    }

    /// Whom a number of a PBX stands for, each as `pbx/number`; nobody, where it is an ordinary one.
    pub(super) fn members(&self, pbx: &str, number: &str) -> &[String] {
        let groups = self.0.get(pbx);
        groups
            .and_then(|groups| groups.get(number))
            .map_or(&[], Vec::as_slice)
    }
}

/// A number as policies see it. The name of a PBX has no slash, so no two are written alike.
pub(super) fn inside(pbx: &str, number: &str) -> String {
    format!("{pbx}/{number}")
}
