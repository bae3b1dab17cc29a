//! Switches that have no effect on the gateway.

use wavegate::simulator::Switch;

/// The reason why a switch cannot make a difference. The table shows that it makes none.
pub(in crate::dialects) fn makes_no_difference(switch: Switch) -> Option<&'static str> {
    Some(match switch {
        Switch::DownloadDoesNotProlong => {
            "the ticket was asked for a moment before, and that prolongs"
        }
        Switch::AllowedIpIs30001 => {
            "the configuration refuses allowed_ip for 1.0.1, so it is never sent there"
        }
        Switch::TokenBoundRandom => "a ticket is shown with the token that it was asked for with",
        Switch::CutDownloadSpendsNothing => "a ticket is never shown twice",
        Switch::HonoursRange => "the PBX is never asked for a range",
        Switch::PlusIsSpace | Switch::PlusIsPlus => "names are percent-encoded, a plus sign too",
        Switch::RefreshKeepsOldToken | Switch::OldAccessTokenLivesOn => {
            "a token that was exchanged is not used again"
        }
        Switch::RefreshRotatesNothing => "the latest pair is used, whether it is another or not",
        Switch::NoCloseNotify => {
            "what tells its length is whole there, and else two ends have to agree, told or not"
        }
        Switch::CsvNewestFirst => "rows are sorted here",
        Switch::ListPageCapped => "one call fits on any page; list::walk has many",
        Switch::SearchIgnoresFilters => "what was asked for is looked for here, too",
        Switch::ResourceUrlSingleUse => "an address is used once",

        _ => return None,
    })
}
