//! The steps that the store carries out, each alone and by its own clock.
//!
//! Knows their texts. Does not know when one runs.

use redis::Script;

/// The steps that the store carries out.
pub(super) struct Scripts {
    pub(super) look: Script,
    pub(super) beat: Script,
    pub(super) leave: Script,
    pub(super) read: Script,
    pub(super) acquire: Script,
    pub(super) hold: Script,
    pub(super) restore: Script,
    pub(super) used: Script,
    pub(super) take: Script,
    pub(super) keep: Script,
    pub(super) give: Script,
    pub(super) rate: Script,
    pub(super) publish: Script,
    pub(super) range: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            look: Script::new(include_str!("scripts/look.lua")),
            beat: Script::new(include_str!("scripts/beat.lua")),
            leave: Script::new(include_str!("scripts/leave.lua")),
            read: Script::new(include_str!("scripts/read.lua")),
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            hold: Script::new(include_str!("scripts/hold.lua")),
            restore: Script::new(include_str!("scripts/restore.lua")),
            used: Script::new(include_str!("scripts/used.lua")),
            take: Script::new(include_str!("scripts/take.lua")),
            keep: Script::new(include_str!("scripts/keep.lua")),
            give: Script::new(include_str!("scripts/give.lua")),
            rate: Script::new(include_str!("scripts/rate.lua")),
            publish: Script::new(include_str!("scripts/publish.lua")),
            range: Script::new(include_str!("scripts/range.lua")),
        }
    }
}
