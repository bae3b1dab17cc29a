//! Queues and ring groups: numbers that stand for other numbers.
//!
//! Knows the members of each. Does not know the PBX, which is never asked for them.

use std::collections::HashMap;
use std::sync::Arc;

/// The members of queues and ring groups, by PBX.
#[derive(Clone, Debug, Default)]
pub struct Groups(Arc<HashMap<String, HashMap<String, Vec<String>>>>);

impl Groups {
    /// Returns true if both are the same groups, loaded together.
    pub(super) fn is_same_set(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Makes groups. `groups` has, for each PBX, numbers and their members.
    #[must_use]
    pub fn new(groups: impl IntoIterator<Item = (String, Vec<(String, Vec<String>)>)>) -> Self {
        let of_pbx = |(pbx, groups): (String, Vec<(String, Vec<String>)>)| {
            let members = |numbers: Vec<String>| {
                let numbers = numbers.into_iter();
                numbers
                    .map(|number| qualified_number(&pbx, &number))
                    .collect()
            };
            let groups = groups.into_iter();
            let groups = groups
                .map(|(number, numbers)| (number, members(numbers)))
                .collect();
            (pbx, groups)
        };
        Self(Arc::new(groups.into_iter().map(of_pbx).collect()))
    }

    /// The members of a number of a PBX, each as `pbx/number`. Empty for an ordinary number.
    pub(super) fn members(&self, pbx: &str, number: &str) -> &[String] {
        let groups = self.0.get(pbx);
        groups
            .and_then(|groups| groups.get(number))
            .map_or(&[], Vec::as_slice)
    }
}

/// A number as policies see it. The name of a PBX has no slash, so the result is unique.
pub(super) fn qualified_number(pbx: &str, number: &str) -> String {
    format!("{pbx}/{number}")
}
