//! The API account of the box: one user name, one password, and the addresses that are locked out.
//!
//! Knows the credentials and counts failed logins by address. Does not know tokens or JSON.
//!
//! Source: Yeastar, "S-Series API Guide", "API Authentication": the password is sent as the MD5 of
//! the API password, and five consecutive failures block the address for 10 minutes. Assumptions:
//! the fifth failure itself is still answered as a wrong password, and further attempts do not
//! prolong a block.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use super::errno::Errno;
use super::secret;

/// The number of consecutive failed logins that blocks an address.
const FAILURES_BEFORE_LOCKOUT: u32 = 5;
/// The bound on addresses whose failures are counted. At the bound all counts are dropped.
const MAX_ADDRESSES: usize = 100_000;

/// The credentials of the account, and its failed logins.
pub(super) struct SimulatedAccount {
    username: String,
    password_md5: String,
    lockout: Duration,
    failures: HashMap<IpAddr, Failures>,
}

#[derive(Default)]
struct Failures {
    consecutive: u32,
    locked_until: Option<Instant>,
}

impl SimulatedAccount {
    pub(super) fn new(username: &str, password: &str, lockout: Duration) -> Self {
        let (username, password_md5) = (username.to_owned(), md5_hex(password));
        Self {
            username,
            password_md5,
            lockout,
            failures: HashMap::new(),
        }
    }

    pub(super) fn set_password(&mut self, password: &str) {
        self.password_md5 = md5_hex(password);
    }

    /// Unblocks all addresses, as an administrator can.
    pub(super) fn unlock(&mut self) {
        self.failures.clear();
    }

    pub(super) fn is_locked_out(&mut self, peer: IpAddr, now: Instant) -> bool {
        let locked_until = self
            .failures
            .get(&peer)
            .and_then(|failures| failures.locked_until);
        let locked = locked_until.is_some_and(|until| now < until);
        if locked_until.is_some() && !locked {
            self.failures.remove(&peer);
        }
        locked
    }

    /// Checks credentials and counts failures. A success clears the failures of `peer`.
    pub(super) fn login(
        &mut self,
        username: &str,
        password_md5: &str,
        peer: IpAddr,
        now: Instant,
    ) -> Result<(), Errno> {
        if self.is_locked_out(peer, now) {
            return Err(Errno::LOCKED_OUT);
        }
        if username == self.username && password_md5 == self.password_md5 {
            self.failures.remove(&peer);
            return Ok(());
        }
        self.count_failure(peer, now);
        Err(Errno::BAD_CREDENTIALS)
    }

    fn count_failure(&mut self, peer: IpAddr, now: Instant) {
        if self.failures.len() >= MAX_ADDRESSES {
            self.failures.clear();
        }
        let failures = self.failures.entry(peer).or_default();
        failures.consecutive += 1;
        if failures.consecutive >= FAILURES_BEFORE_LOCKOUT {
            failures.locked_until = Some(now + self.lockout);
        }
    }
}

/// The lower-case hexadecimal MD5 of a password, over its UTF-8 bytes.
pub(super) fn md5_hex(password: &str) -> String {
    secret::hex(&Md5::digest(password.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn md5_is_lower_case_hex() {
        assert_eq!(md5_hex("Passw0rd"), "d41e98d1eafa6d6011d3a70f1a5b92f0");
    }

    #[test]
    fn a_password_in_clear_or_upper_case_hex_is_wrong() {
        let mut account = SimulatedAccount::new("api", "Passw0rd", Duration::from_secs(600));
        let now = Instant::now();
        let upper = md5_hex("Passw0rd").to_uppercase();
        assert_eq!(
            account.login("api", &upper, PEER, now),
            Err(Errno::BAD_CREDENTIALS)
        );
        assert_eq!(
            account.login("api", "Passw0rd", PEER, now),
            Err(Errno::BAD_CREDENTIALS)
        );
        assert_eq!(
            account.login("api", &md5_hex("Passw0rd"), PEER, now),
            Ok(())
        );
    }

    #[test]
    fn five_failures_in_a_row_block_the_address_until_the_end() {
        let mut account = SimulatedAccount::new("api", "right", Duration::from_secs(600));
        let (now, right) = (Instant::now(), md5_hex("right"));
        for _ in 0..4 {
            assert_eq!(
                account.login("api", "wrong", PEER, now),
                Err(Errno::BAD_CREDENTIALS)
            );
        }
        assert_eq!(account.login("api", &right, PEER, now), Ok(()));
        for _ in 0..5 {
            assert_eq!(
                account.login("api", "wrong", PEER, now),
                Err(Errno::BAD_CREDENTIALS)
            );
        }
        assert_eq!(
            account.login("api", &right, PEER, now),
            Err(Errno::LOCKED_OUT)
        );
        let other = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(account.login("api", &right, other, now), Ok(()));
        let later = now + Duration::from_secs(601);
        assert_eq!(account.login("api", &right, PEER, later), Ok(()));
    }
}
