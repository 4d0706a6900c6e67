//! Sessions of people who signed in: what is known of them, and when they are over.

use std::net::IpAddr;

use ipnet::IpNet;
use kernel::{ProviderId, Secret, SessionId, Timestamp, UserId};

use crate::{SessionRefusal, SignInMethod};

/// After how many seconds without a request a session is over: half an hour.
pub const IDLE_SECONDS: i64 = 1_800;

/// After how many seconds a session is over whatever happens: twelve hours.
pub const LIFETIME_SECONDS: i64 = 43_200;

/// For how many seconds after signing in sensitive actions are allowed: ten minutes.
pub const FRESH_SECONDS: i64 = 600;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, as the ledger knows it. It lets nobody in.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// How it was signed in to.
    pub method: SignInMethod,
    /// With which provider, if with one.
    pub provider: Option<ProviderId>,
    /// From which network, roughly; empty if that was not known.
    pub network: String,
    /// What the browser said of itself.
    pub agent: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When its holder last proved who they are.
    pub authenticated_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub seen_at: Timestamp,
    /// When it is over whatever happens.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
}

/// A session at the one moment when its secret can be handed over.
#[derive(Clone, Debug)]
pub struct IssuedSession {
    /// What stays known.
    pub session: Session,
    /// What its holder presents: the value of a cookie.
    pub secret: Secret<String>,
}

/// Where somebody signs in from.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The network address.
    pub address: Option<IpAddr>,
    /// What the browser says of itself.
    pub agent: String,
}

impl Client {
    /// The network that the address is in, as coarse as it is kept: 24 bits, or 48.
    pub(crate) fn network(&self) -> String {
        let network = |address: IpAddr| {
            let bits = if address.is_ipv4() { 24 } else { 48 };
            IpNet::new(address, bits).map_or(String::new(), |network| network.trunc().to_string())
        };
        self.address.map(|address| network(address.to_canonical())).unwrap_or_default()
    }

    /// What is kept of what the browser says: 200 printable characters.
    pub(crate) fn agent(&self) -> String {
        self.agent.chars().filter(|each| !each.is_control()).take(200).collect()
    }
}

impl Session {
    /// Whether it is good at `now`.
    pub(crate) fn admit(&self, now: Timestamp) -> Result<(), SessionRefusal> {
        if self.ended_at.is_some() {
            return Err(SessionRefusal::Ended);
        }
        if now >= self.expires_at {
            return Err(SessionRefusal::Expired);
        }
        if now >= self.seen_at.plus_seconds(IDLE_SECONDS) {
            return Err(SessionRefusal::Idle);
        }
        Ok(())
    }

    /// Whether its holder proved who they are just now.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.authenticated_at.plus_seconds(FRESH_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(seen: i64) -> Session {
        let at = |seconds| Timestamp::from_micros(0).plus_seconds(seconds);
        Session {
            id: "ses_00000000000000000000000000000000".parse().unwrap(),
            user: "usr_00000000000000000000000000000000".parse().unwrap(),
            method: SignInMethod::Password,
            provider: None,
            network: String::new(),
            agent: String::new(),
            created_at: at(0),
            authenticated_at: at(0),
            seen_at: at(seen),
            expires_at: at(LIFETIME_SECONDS),
            ended_at: None,
        }
    }

    #[test]
    fn a_session_is_over_when_idle_or_old_or_ended() {
        let at = |seconds| Timestamp::from_micros(0).plus_seconds(seconds);
        assert_eq!(session(0).admit(at(1_799)), Ok(()));
        assert_eq!(session(0).admit(at(1_800)), Err(SessionRefusal::Idle));
        assert_eq!(session(43_000).admit(at(43_199)), Ok(()));
        assert_eq!(session(43_000).admit(at(43_200)), Err(SessionRefusal::Expired));
        let ended = Session { ended_at: Some(at(1)), ..session(0) };
        assert_eq!(ended.admit(at(1)), Err(SessionRefusal::Ended));
        assert!(session(0).is_fresh(at(599)) && !session(0).is_fresh(at(600)));
    }

    #[test]
    fn of_a_client_little_is_kept() {
        let client =
            |address: &str| Client { address: Some(address.parse().unwrap()), agent: "a\u{1b}[31m\n".repeat(99) };
        assert_eq!(client("192.0.2.77").network(), "192.0.2.0/24");
        assert_eq!(client("::ffff:192.0.2.77").network(), "192.0.2.0/24");
        assert_eq!(client("2001:db8:1:2::3").network(), "2001:db8:1::/48");
        assert_eq!(Client::default().network(), "");
        let agent = client("::1").agent();
        assert!(agent.len() == 200 && !agent.contains('\u{1b}'));
    }
}
