//! One case of the table: the setup, the expected result, and the signs that show the switch.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use wavegate::simulator::{Api, Observations, Switch, wav};

use super::outcome::Outcome;
use super::setup::{Act, Name, Observed, PART, Setup, Way};
use crate::harness::PATIENCE;

/// The expected last result for the caller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// The recording exactly as the PBX has it.
    SameBytes,
    /// The requested part.
    Part,
    /// The first half of the recording, whose RIFF size is still 0.
    FirstHalf,
    /// This problem.
    Problem(&'static str),
    /// A transfer that breaks.
    Broken,
    /// A list of the one recording.
    Listed,
    /// An empty list.
    Nothing,
}

/// A sign that the switch had an effect.
#[derive(Clone, Copy)]
enum Sign {
    Seen(fn(&Observations) -> bool),
    Said(&'static str),
    NeverSaid(&'static str),
    Wire(fn(&[u8]) -> bool),
    /// The bytes differ from those that were put on the PBX.
    OtherForm,
}

#[derive(Clone)]
pub(super) struct Case {
    setup: Setup,
    expect: Expect,
    signs: Vec<Sign>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} of {:?}", self.expect, self.setup)
    }
}

impl Case {
    /// The recording is fetched once and comes through.
    pub(super) fn fetch() -> Self {
        Self {
            setup: Setup::default(),
            expect: Expect::SameBytes,
            signs: Vec::new(),
        }
    }

    /// The same with the cache, for cases that fetch a recording.
    pub(super) fn on_cache(&self) -> Option<Self> {
        let mut case = self.clone();
        case.setup.cache = true;
        (!matches!(self.setup.act, Act::List)).then_some(case)
    }

    /// The list contains the recording.
    pub(super) fn list() -> Self {
        Self::fetch().act(Act::List).expect(Expect::Listed)
    }

    /// A list over a wire without TLS, so that the test can read every word of the PBX.
    pub(super) fn list_in_clear() -> Self {
        Self::in_clear().act(Act::List).expect(Expect::Listed)
    }

    /// The list is empty.
    pub(super) fn nothing(self) -> Self {
        self.expect(Expect::Nothing)
    }

    /// A fetch over a wire without TLS, so that the test can read every word of the PBX.
    pub(super) fn in_clear() -> Self {
        Self::fetch().way(Way::Wire).with(&[Switch::PlainHttp])
    }

    pub(super) fn with(mut self, switches: &'static [Switch]) -> Self {
        self.setup.with = switches;
        self
    }

    /// The API that the gateway is configured for.
    pub(super) fn api(mut self, api: Api) -> Self {
        self.setup.api = Some(api);
        self
    }

    pub(super) fn name(mut self, name: Name) -> Self {
        self.setup.name = name;
        self
    }

    pub(super) fn way(mut self, way: Way) -> Self {
        self.setup.way = way;
        self
    }

    /// Lines of `[[pbx]]`.
    pub(super) fn pbx(mut self, lines: &'static str) -> Self {
        self.setup.pbx = lines;
        self
    }

    pub(super) fn inject(mut self, fault: &'static str) -> Self {
        self.setup.fault = Some(fault);
        self
    }

    /// Tickets expire at once, so that the PBX refuses every download.
    pub(super) fn stale_tickets(mut self) -> Self {
        self.setup.stale_tickets = true;
        self
    }

    pub(super) fn answer_delay(mut self, delay: Duration) -> Self {
        self.setup.answer_delay = delay;
        self
    }

    pub(super) fn act(mut self, act: Act) -> Self {
        self.setup.act = act;
        self
    }

    pub(super) fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    pub(super) fn problem(self, slug: &'static str) -> Self {
        self.expect(Expect::Problem(slug))
    }

    /// The PBX's counters must show the effect of the switch.
    pub(super) fn seen(mut self, sign: fn(&Observations) -> bool) -> Self {
        self.signs.push(Sign::Seen(sign));
        self
    }

    /// The PBX must say this somewhere.
    pub(super) fn said(mut self, words: &'static str) -> Self {
        self.signs.push(Sign::Said(words));
        self
    }

    /// The PBX must say this nowhere.
    pub(super) fn never_said(mut self, words: &'static str) -> Self {
        self.signs.push(Sign::NeverSaid(words));
        self
    }

    pub(super) fn wire(mut self, sign: fn(&[u8]) -> bool) -> Self {
        self.signs.push(Sign::Wire(sign));
        self
    }

    pub(super) fn other_form(mut self) -> Self {
        self.signs.push(Sign::OtherForm);
        self
    }

    /// A text of all inputs of the case.
    pub(super) fn setup(&self) -> String {
        format!("{:?}", self.setup)
    }

    /// The difference between `observed` and the expected result, if any.
    pub(super) fn complaint(&self, observed: &Observed) -> Option<String> {
        let as_on_pbx = observed.as_on_pbx.as_ref();
        let half = |whole: &Bytes| wav::riff_size(&whole.slice(..whole.len() / 2), 0);
        let good = match (self.expect, &observed.last) {
            (Expect::SameBytes, Outcome::Bytes(bytes)) => as_on_pbx == Some(bytes),
            (Expect::Part, Outcome::Part(bytes)) => {
                as_on_pbx.map(|whole| whole.slice(PART)).as_ref() == Some(bytes)
            }
            (Expect::FirstHalf, Outcome::Bytes(bytes)) => {
                as_on_pbx.map(half).as_ref() == Some(bytes)
            }
            (Expect::Problem(slug), Outcome::Problem(problem)) => slug == problem,
            (Expect::Broken, Outcome::Broken) => true,
            (Expect::Listed, Outcome::Names(names)) => {
                names.len() == 1 && observed.name == names[0]
            }
            (Expect::Nothing, Outcome::Names(names)) => names.is_empty(),
            _ => false,
        };
        if !good {
            return Some(match &observed.last {
                Outcome::Bytes(bytes) | Outcome::Part(bytes) => {
                    format!("{} bytes came", bytes.len())
                }
                other => format!("{other:?} came"),
            });
        }
        let missing = self
            .signs
            .iter()
            .position(|sign| !sign.is_there(observed))?;
        Some(format!(
            "sign {missing} is missing; the PBX saw {:#?}",
            observed.seen
        ))
    }

    /// Runs the case at a PBX of this generation.
    pub(super) async fn run(&self, api: Api, switch: Option<Switch>) -> Observed {
        // Without the switch its signs never come, so do not wait for them.
        let counted = |seen: &Observations| {
            let missing = |sign: &Sign| matches!(sign, Sign::Seen(sign) if !sign(seen));
            switch.is_none() || !self.signs.iter().any(missing)
        };
        let running = self.setup.run(api, switch, counted);
        let observed = timeout(2 * PATIENCE, running).await;
        observed.unwrap_or_else(|_| panic!("a hang: {api} {switch:?} {:?}", self.setup))
    }
}

impl Sign {
    fn is_there(&self, observed: &Observed) -> bool {
        let said = |words: &str| {
            observed
                .said
                .windows(words.len())
                .any(|some| some == words.as_bytes())
        };
        match *self {
            Self::Seen(sign) => sign(&observed.seen),
            Self::Said(words) => said(words),
            Self::NeverSaid(words) => !observed.said.is_empty() && !said(words),
            Self::Wire(sign) => sign(&observed.said),
            Self::OtherForm => observed.as_on_pbx != Some(wav::music(3)),
        }
    }
}
